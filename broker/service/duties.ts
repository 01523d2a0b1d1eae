import { duties } from '../core/duties.ts';
import type { Command, Duty, Outcome } from '../core/command.ts';
import type { JobRow } from '../core/state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Cancel, Runtime } from '../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskBody } from '../../protocol/session/trusted-link.ts';
import { withState } from './adapter-state.ts';
import type { BrokerConfiguration, QueueConfiguration } from './configuration.ts';
import type { Troubles } from './troubles.ts';
import { unexpectedAnswer } from './unexpected-answer.ts';
import { createUnhurried } from './unhurried.ts';
import type { Verifier } from './verification.ts';

export interface DutiesOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly ledger: Ledger;
  readonly ask: (service: string, body: AskBody) => Promise<AnswerBody>;
  readonly verifier: Verifier;
  readonly follow: (outcome: Outcome) => void;
  /** Storage has registered the result for good, and the ledger is on its way to say so too (docs/adr/0028). */
  readonly registered?: (job: string, attempt: number) => void;
  readonly troubles?: Troubles;
}

export interface Duties {
  /** Does what the row says is to be done; a duty under way is not begun twice. */
  take(job: JobRow): void;
  /** Takes up every duty the ledger knows: at start, and after the bound was reached. */
  resume(): Promise<void>;
  readonly open: number;
  stop(): void;
}

const MAX_OPEN = 4096;
const PAGE = 256;
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;
const MAX_TOLD_ATTEMPTS = 8;

/**
 * Drives steps 2 to 6 of the commit, and the clean-up, by what each job's row says (docs/adr/0007). Every step may be done any
 * number of times; a step whose other side does not answer is tried again with jitter until it does.
 */
export function createDuties(options: DutiesOptions): Duties {
  const { runtime, configuration, ledger, ask, verifier, follow } = options;
  const unhurried = createUnhurried(runtime.clock, ledger);
  const open = new Set<string>();
  const retries = new Set<Cancel>();
  const queues = new Map(configuration.queues.map((queue) => [queue.name, queue]));
  let stopped = false;
  let skipped = false;

  function take(job: JobRow): void {
    for (const duty of duties(job)) begin(job, duty);
  }

  function begin(job: JobRow, duty: Duty): void {
    const key = `${job.id} ${duty.kind} ${duty.kind === 'tell' ? '' : duty.attempt}`;
    if (stopped || open.has(key)) return;
    if (open.size >= MAX_OPEN) {
      skipped = true;
      return;
    }
    open.add(key);
    const go = (): void => void attempt(key, job, duty, FIRST_RETRY_MS);
    // Nobody waits to be told; an agent may wait for what else the same outcome sets going.
    if (duty.kind === 'tell') later(0, go);
    else go();
  }

  async function attempt(key: string, job: JobRow, duty: Duty, retryMs: number): Promise<void> {
    try {
      const command = await carryOut(job, duty);
      const recorded = command && record(duty, command);
      if (command?.kind === 'finalised') options.registered?.(command.job, command.attempt);
      const outcome = await recorded;
      done(key);
      options.troubles?.went(job.id, duty.kind);
      if (outcome !== undefined) follow(outcome);
    } catch (caught) {
      retry(key, job, duty, retryMs, caught);
    }
  }

  /** Nobody waits for what a framework has acknowledged; an agent or a cancelled job may wait for everything else. */
  async function record(duty: Duty, command: Command): Promise<Outcome | undefined> {
    return duty.kind === 'tell' ? unhurried.apply(command) : (await ledger.apply([command]))[0];
  }

  function done(key: string): void {
    open.delete(key);
    if (skipped && open.size < MAX_OPEN / 2) takeSkipped();
  }

  function takeSkipped(): void {
    skipped = false;
    resume().catch((caught: unknown) => {
      runtime.log.warn({ errorCode: toCoPilotError(caught).code }, 'what is to be done could not be read');
      later(MAX_RETRY_MS, takeSkipped);
    });
  }

  function later(delayMs: number, action: () => void): void {
    const cancel = runtime.clock.schedule(delayMs, () => {
      retries.delete(cancel);
      action();
    });
    retries.add(cancel);
  }

  /** The row may have changed while the other side was silent: the retry looks at it afresh. */
  function retry(key: string, job: JobRow, duty: Duty, retryMs: number, caught: unknown): void {
    if (stopped) return;
    const error = toCoPilotError(caught);
    options.troubles?.failed(job.id, duty.kind, caught);
    runtime.log.warn(
      { job: job.id, duty: duty.kind, errorCode: error.code, err: error.message },
      'a step is tried again',
    );
    const jittered = retryMs * (0.5 + (runtime.random.bytes(1)[0] ?? 0) / 255);
    later(jittered, () => void again(key, job, duty, Math.min(retryMs * 2, MAX_RETRY_MS)));
  }

  async function again(key: string, job: JobRow, duty: Duty, retryMs: number): Promise<void> {
    try {
      const stored = await ledger.job(job.id);
      const isStillDue = stored?.duties.some((other) => isSame(other, duty)) === true;
      if (stored !== undefined && isStillDue) await attempt(key, stored.job, duty, retryMs);
      else {
        options.troubles?.went(job.id, duty.kind);
        done(key);
      }
    } catch (caught) {
      retry(key, job, duty, retryMs, caught);
    }
  }

  async function resume(): Promise<void> {
    let after = '';
    while (!stopped) {
      const page = await ledger.list({ kind: 'duties' }, after, PAGE);
      for (const { job } of page) take(job);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      if (open.size >= MAX_OPEN) {
        skipped = true;
        return;
      }
      after = last.job.id;
    }
  }

  async function carryOut(job: JobRow, duty: Duty): Promise<Command | undefined> {
    const queue = queues.get(job.queue);
    if (queue === undefined)
      throw new Error(`queue ${job.queue} is not configured any more; its jobs wait until it is`);
    switch (duty.kind) {
      case 'verify':
        return verify(job, duty.attempt, queue);
      case 'finalise':
        return finalise(job, duty.attempt, queue);
      case 'discard':
        return discard(job, duty.attempt, queue);
      case 'tell':
        return tell(job, queue);
    }
  }

  async function verify(
    job: JobRow,
    number: number,
    queue: QueueConfiguration,
  ): Promise<Command | undefined> {
    const found = job.attempts.find((entry) => entry.number === number);
    if (found === undefined) return undefined;
    const result = await verifier.verify({ job: job.id, attempt: number, manifest: found.manifest }, queue);
    return { kind: 'verified', job: job.id, attempt: number, result, limits: configuration.limits };
  }

  async function finalise(
    job: JobRow,
    number: number,
    queue: QueueConfiguration,
  ): Promise<Command | undefined> {
    const found = job.attempts.find((entry) => entry.number === number);
    if (found === undefined) return undefined;
    const manifest = found.manifest.map(({ name, size, sha256 }) => ({ name, size, sha256 }));
    const body = { op: 'finalise', job: job.id, attempt: number, manifest } as const;
    const answer = await ask(queue.storageAdapter, body);
    if (answer.result === 'ok') return { kind: 'finalised', job: job.id, attempt: number };
    // The storage discarded it durably: it will never be finalised, which is what `discarded` says.
    if (isNotLive(answer)) return { kind: 'discarded', job: job.id, attempt: number };
    throw unexpectedAnswer(answer);
  }

  async function discard(job: JobRow, number: number, queue: QueueConfiguration): Promise<Command> {
    const answer = await ask(queue.storageAdapter, { op: 'discard', job: job.id, attempt: number });
    if (answer.result === 'ok') return { kind: 'discarded', job: job.id, attempt: number };
    // It was finalised before: whichever durable answer came first wins.
    if (isNotLive(answer)) return { kind: 'finalised', job: job.id, attempt: number };
    throw unexpectedAnswer(answer);
  }

  async function tell(job: JobRow, queue: QueueConfiguration): Promise<Command> {
    const answer = await ask(queue.jobAdapter, withState(job, finalWord(job)));
    if (answer.result === 'ok')
      return { kind: 'told', job: job.id, answer: 'ok', reason: '', events: answer.events ?? 0 };
    if (answer.result === 'refused' && answer.code === 'RESULT_REFUSED')
      return { kind: 'told', job: job.id, answer: 'refused', reason: answer.message, events: 0 };
    throw unexpectedAnswer(answer);
  }

  return {
    take,
    resume,
    get open() {
      return open.size;
    },
    stop() {
      stopped = true;
      unhurried.stop();
      for (const cancel of retries) cancel();
      retries.clear();
    },
  };
}

function isSame(a: Duty, b: Duty): boolean {
  return a.kind === b.kind && (a.kind === 'tell' || b.kind === 'tell' || a.attempt === b.attempt);
}

function isNotLive(answer: AnswerBody): boolean {
  return answer.result === 'refused' && answer.code === 'ATTEMPT_NOT_LIVE';
}

/** What the framework is told when a job ended. */
function finalWord(job: JobRow): Extract<AskBody, { readonly op: 'finished' | 'failed' }> {
  const committed = job.attempts.find((attempt) => attempt.state === 'committed');
  if (job.state === 'committed' && committed !== undefined) {
    const { number, manifest, usage } = committed;
    return { op: 'finished', job: job.id, attempt: number, manifest, usage: usage ?? NO_USAGE };
  }
  return {
    op: 'failed',
    job: job.id,
    outcome: job.state === 'cancelled' ? 'cancelled' : 'failed',
    reason: job.reason,
    attempts: job.attempts.slice(-MAX_TOLD_ATTEMPTS).map((attempt) => ({
      attempt: attempt.number,
      reason: attempt.reason,
      logTail: attempt.logTail.slice(-2048),
      ...(attempt.exit !== null && { exit: attempt.exit }),
    })),
  };
}

const NO_USAGE = { wallSeconds: 0, cpuSeconds: 0, memoryMiB: 0, diskMiB: 0 };
