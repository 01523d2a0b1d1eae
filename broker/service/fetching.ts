import type { Command, Outcome } from '../core/command.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { NewJob } from '../../protocol/generated/types.ts';
import { MAX_DESCRIPTION_BYTES } from '../../protocol/messages.ts';
import type { Cancel, Runtime } from '../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskBody } from '../../protocol/session/trusted-link.ts';
import { withState } from './adapter-state.ts';
import type { AvailableJobs } from './available-jobs.ts';
import type { Troubles } from './troubles.ts';
import { unexpectedAnswer } from './unexpected-answer.ts';
import { queueSubject } from './why-facts.ts';
import { type BrokerConfiguration, MAX_AHEAD, type QueueConfiguration } from './configuration.ts';

export interface FetchingOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly ledger: Ledger;
  readonly jobs: AvailableJobs;
  readonly ask: (service: string, body: AskBody) => Promise<AnswerBody>;
  readonly follow: (outcome: Outcome) => void;
  readonly troubles?: Troubles;
}

export interface Fetching {
  /** Jobs may wait in a queue of this adapter. */
  available(queue: string): void;
  /** The adapter is there (again): everything may have changed. */
  opened(service: string): void;
  /** A job left the pool, or an agent waits unmatched: look whether more jobs are wanted. */
  look(): void;
  stop(): void;
}

interface State {
  readonly queue: QueueConfiguration;
  /** Whether the adapter may have more; cleared by a fetch that says it has not. */
  mayHaveMore: boolean;
  isFetching: boolean;
  /** The adapter said during the fetch that there is more: the answer may have been made before. */
  heardMeanwhile: boolean;
  /** Jobs in the ledger now that the adapter has not been told of. */
  accepted: string[];
}

const MAX_ACCEPTED = 512;
/** Jobs of one fetch: they become durable in one group, and whoever asks meanwhile waits for it. */
const MAX_FETCHED = 64;
const RETRY_MS = 2_000;

/** Brings jobs from the adapters into the ledger: no more than are wanted soon, and one fetch a queue at a time. */
export function createFetching(options: FetchingOptions): Fetching {
  const { runtime, configuration, ledger, jobs, ask, follow } = options;
  const states = new Map(
    configuration.queues.map((queue): [string, State] => [
      queue.name,
      { queue, mayHaveMore: true, isFetching: false, heardMeanwhile: false, accepted: [] },
    ]),
  );
  const retries = new Set<Cancel>();
  let stopped = false;

  function look(): void {
    for (const state of states.values()) if (wanted(state) > 0) fetch(state);
  }

  /** The prefetch, and beyond it a little more at a time while agents wait for whom nothing ahead is fit. */
  function wanted({ queue, mayHaveMore, isFetching }: State): number {
    if (!mayHaveMore || isFetching || stopped) return 0;
    const ahead = jobs.waitingIn(queue.name);
    if (ahead < queue.prefetch / 2) return queue.prefetch - ahead;
    return jobs.parked > 0 && ahead < MAX_AHEAD ? Math.min(MAX_FETCHED, MAX_AHEAD - ahead) : 0;
  }

  function fetch(state: State): void {
    state.isFetching = true;
    state.heardMeanwhile = false;
    fetchOnce(state)
      .catch((caught: unknown) => {
        options.troubles?.failed(queueSubject(state.queue.name), 'fetch', caught);
        runtime.log.warn(
          { queue: state.queue.name, errorCode: toCoPilotError(caught).code },
          'no jobs could be fetched',
        );
        retryLater(state);
      })
      .finally(() => {
        state.isFetching = false;
        look();
      });
  }

  /** Until then the adapter counts as empty, unless it says otherwise. */
  function retryLater(state: State): void {
    state.mayHaveMore = false;
    const cancel = runtime.clock.schedule(RETRY_MS, () => {
      retries.delete(cancel);
      state.mayHaveMore = true;
      look();
    });
    retries.add(cancel);
  }

  async function fetchOnce(state: State): Promise<void> {
    const { queue } = state;
    const max = Math.min(MAX_FETCHED, Math.max(1, wanted({ ...state, isFetching: false })));
    const accepted = state.accepted.slice(0, MAX_ACCEPTED);
    const answer = await ask(queue.jobAdapter, { op: 'fetch', queue: queue.name, max, accepted });
    if (answer.result !== 'jobs') throw unexpectedAnswer(answer);
    options.troubles?.went(queueSubject(queue.name), 'fetch');
    state.accepted.splice(0, accepted.length);
    const outcomes = await ledger.apply(answer.jobs.flatMap((job) => acceptCommand(state, job)));
    for (const outcome of outcomes) {
      if (outcome.kind === 'accepted') follow(outcome);
      if (outcome.kind === 'pruned') refusePruned(queue, answer.jobs, outcome);
      if (outcome.kind === 'accepted' || outcome.kind === 'known') state.accepted.push(outcome.job.id);
    }
    // Whoever hands over nothing has nothing, whatever it says: it will tell when it has.
    state.mayHaveMore =
      state.heardMeanwhile || (answer.more && answer.jobs.length > 0) || state.accepted.length > 0;
  }

  function refusePruned(
    queue: QueueConfiguration,
    jobs: readonly NewJob[],
    { id, attempt }: { readonly id: string; readonly attempt: number },
  ): void {
    const pruned = jobs.find(({ job }) => job === id);
    if (pruned !== undefined) refuse(queue, pruned, reasonOfPruned(attempt));
  }

  function acceptCommand({ queue }: State, job: NewJob): readonly Command[] {
    const description = JSON.stringify(job.description);
    const bucket = bucketKey(queue, job, description);
    if (bucket === undefined) return [];
    const { job: id, ref, owner, site, campaign, priority, retries: tries, state } = job;
    const row = { id, queue: queue.name, ref, owner, site, campaign, priority, bucket, retries: tries };
    return [
      { kind: 'accept', job: { ...row, maxLost: queue.maxLost, adapterState: state ?? '', description } },
    ];
  }

  /** Undefined for a job no agent could ever be given; its framework hears why. */
  function bucketKey(queue: QueueConfiguration, job: NewJob, description: string): string | undefined {
    try {
      if (Buffer.byteLength(description) > MAX_DESCRIPTION_BYTES)
        throw new Error(`the description is over ${MAX_DESCRIPTION_BYTES} bytes`);
      return jobs.bucketKeyOf(job.description, queue.name);
    } catch (caught) {
      const reason = toCoPilotError(caught).message.slice(0, 500);
      refuse(queue, job, reason);
      return undefined;
    }
  }

  /** Lost on its way, it is said again when the job is handed over again. */
  function refuse(queue: QueueConfiguration, { job, state = '' }: NewJob, reason: string): void {
    runtime.log.warn({ job, queue: queue.name, reason }, 'a job is refused');
    const body = { op: 'failed', job, outcome: 'failed', reason, attempts: [] } as const;
    ask(queue.jobAdapter, withState({ adapterState: state }, body)).catch(() => undefined);
  }

  return {
    available(queue) {
      const state = states.get(queue);
      if (state === undefined) return;
      state.mayHaveMore = true;
      state.heardMeanwhile = true;
      look();
    },
    opened(service) {
      for (const state of states.values()) if (state.queue.jobAdapter === service) state.mayHaveMore = true;
      look();
    },
    look,
    stop() {
      stopped = true;
      for (const cancel of retries) cancel();
    },
  };
}

function reasonOfPruned(attempt: number): string {
  const end = attempt === 0 ? 'without a result' : `with the result of attempt ${attempt}`;
  return `this job ended before, ${end}, and its record was removed since`;
}
