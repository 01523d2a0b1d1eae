import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Cancel } from '../../../protocol/runtime/runtime.ts';
import type { Finished, NewJob, Work } from '../job-adapter.ts';
import type { FrameworkAdapter, FrameworkParts } from '../kit/framework-adapter.ts';
import { createHandedJobs } from '../kit/handed-jobs.ts';
import { createInputStore } from '../kit/input-store.ts';
import { createResultReader } from '../kit/result-reader.ts';
import { createClaims } from './claims.ts';
import { readCrabOptions } from './crab-options.ts';
import { createCrabRest } from './crab-rest.ts';
import { type JobState, type JobTerms, newJobOf, readState } from './job-description.ts';
import { createJobEnds } from './job-ends.ts';
import { createSandboxes } from './sandbox-fetch.ts';
import { createStageOut } from './stage-out.ts';
import { startStatusServer } from './status-server.ts';
import { createTaskHandlers } from './task-handlers.ts';
import { isEnded, type StoredJob } from './stored-job.ts';
import { openTaskStore, type TaskStore } from './task-store.ts';
import { createTaskWorker, type TaskWorker } from './task-worker.ts';
import { createTransferWatch, type TransferWatch } from './transfer-watch.ts';

export interface CrabAdapter extends FrameworkAdapter {
  readonly worker: TaskWorker;
  readonly transfers: TransferWatch;
  /** Where states of jobs are served. */
  readonly statusUrl: string;
}

export interface CrabDirectory {
  /** The adapter's own, 0700: tasks, and the sandbox that is being looked at. */
  readonly directory: string;
}

/** How often what is still true (jobs wait, jobs are to end) is said again. */
const REMIND_MS = 10_000;
const MAX_KILLS = 256;

/** A TaskWorker whose jobs are run by agents (docs/crab.md). Rejects with `INVALID_CONFIGURATION`, or one of the `QUEUE_…` codes. */
export async function createCrabAdapter(
  parts: FrameworkParts,
  { directory }: CrabDirectory,
): Promise<CrabAdapter> {
  const { clock, log, settings, bridge, ceiling, credential } = parts;
  const options = readCrabOptions(settings);
  if (bridge === undefined)
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      'a CRAB adapter has to know the Data Bridge: sandboxes go into it',
    );
  await access(options.wrapperFile).catch((cause: unknown) => {
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      `options.wrapperFile: ${options.wrapperFile} cannot be read`,
      { cause },
    );
  });
  const rest = createCrabRest(parts.http);
  const inputs = createInputStore(bridge);
  const results = createResultReader(bridge);
  const storage = options.stageOutUrl === '' ? undefined : await parts.openHttp(options.stageOutUrl);
  const terms = lazily(
    async (): Promise<JobTerms> => ({
      url: settings.url,
      site: options.site,
      cmsSite: options.cmsSite,
      requirements: options.requirements,
      diskMiB: options.diskMiB,
      retries: settings.attempts - 1,
      driver: await inputs.put({ kind: 'file', path: join(import.meta.dirname, 'crab-job.sh') }),
      wrapper: await inputs.put({ kind: 'file', path: options.wrapperFile }),
    }),
  );
  const store = await openTaskStore({ path: join(directory, 'crab.sqlite'), url: settings.url });
  const status = await startStatusServer({
    store,
    clock,
    host: options.statusHost,
    port: options.statusPort,
    cmsSite: options.cmsSite,
  }).catch(async (caught: unknown) => {
    await store.close();
    throw caught;
  });
  const handed = createHandedJobs({ clock });
  const { caFile } = settings.credential;
  const ca = caFile === undefined ? {} : { caFile };
  let handler: ((work: Work) => void) | undefined;
  let reminder: Cancel | undefined;
  let isStopped = false;

  const tellWaiting = (): void => {
    const count = store.waiting(clock.wallMs());
    if (count > 0) handler?.({ kind: 'available', queue: options.queue, count });
  };
  const kill = ({ id, message }: StoredJob): void =>
    handler?.({ kind: 'kill', job: id, reason: message === '' ? 'the task was killed' : message });
  const remind = (): void => {
    if (isStopped) return;
    tellWaiting();
    for (const job of store.unwanted(MAX_KILLS)) kill(job);
    reminder = clock.schedule(REMIND_MS, remind);
  };
  const onKilled = (jobs: readonly StoredJob[]): void => {
    for (const job of jobs) {
      handed.drop(job.id);
      kill(job);
    }
  };
  const claims = createClaims(rest, options.worker);
  const handlers = createTaskHandlers({
    claims,
    rest,
    store,
    sandboxes: createSandboxes({
      rest,
      inputs,
      directory,
      url: settings.url,
      hosts: options.sandboxHosts,
      ...ca,
    }),
    options,
    terms,
    ceiling,
    refused: parts.refused,
    statusUrl: options.statusUrl === '' ? status.url : options.statusUrl,
    clock,
    log,
    onJobs: tellWaiting,
    onKilled,
  });
  const ends = createJobEnds({
    rest,
    store,
    results,
    stageOut: createStageOut({ results, http: storage, url: options.stageOutUrl, credential, ...ca }),
    cmsSite: options.cmsSite,
    mostRetries: options.automaticRetries,
    clock,
    log,
    onJobs: tellWaiting,
  });
  const worker = createTaskWorker({
    claims,
    handlers,
    store,
    clock,
    log,
    pollMs: options.pollSeconds * 1000,
    maxTasks: options.maxTasks,
    onKilled,
  });
  const transfers = createTransferWatch({
    rest,
    store,
    clock,
    log,
    everyMs: options.transferPollSeconds * 1000,
  });
  worker.start();
  transfers.start();

  /** Of a call about a job: undefined where it is none of ours. An unwanted one is asked for its end again. */
  const known = (id: string, state: string): StoredJob | undefined => {
    const said = readState(state);
    const job = store.job(id);
    const isOther = said !== undefined && job !== undefined && !isSameTry(said, job);
    return isOther ? undefined : job;
  };
  /** As `known`, of a try that has not ended. */
  const running = (id: string, state: string): StoredJob | undefined => {
    const job = known(id, state);
    if (job?.state === 'killed') kill(job);
    return job === undefined || isEnded(job.state) ? undefined : job;
  };
  /** The broker has ended it: nobody is asked for that any more. */
  const ended = (job: StoredJob): void => {
    handed.drop(job.id);
    if (job.state === 'killed') store.change(job.id, { isUnwanted: false });
  };
  /** The last fetch was cut short by the ceiling: whoever asked wants to know when a job ends. */
  let isHeldBack = false;
  const tellRoom = (): void => {
    if (!isHeldBack) return;
    isHeldBack = false;
    tellWaiting();
  };
  const under = new Map<string, Promise<Finished>>();

  return {
    worker,
    transfers,
    statusUrl: status.url,
    async fetch(queue, max, accepted) {
      const nowSeconds = Math.floor(clock.wallMs() / 1000);
      store.accept(accepted, nowSeconds);
      if (accepted.length > 0) await store.settled();
      handed.accept(accepted);
      for (const id of accepted) running(id, '');
      if (queue !== options.queue) return { jobs: [], more: false };
      const free = ceiling.current().jobs - store.withBroker();
      isHeldBack = free < max;
      const wanted = Math.max(0, Math.min(handed.wanted(queue, max), free));
      const waiting = store.due(wanted + handed.waiting(queue), clock.wallMs());
      const due = waiting.filter((job) => !handed.isKnown(job.id));
      if (due.length > 0) handed.offer(queue, await newJobs(store, await terms(), due));
      const fetched = handed.take(queue, max);
      store.hand(fetched.jobs.map(({ job }) => job));
      return {
        jobs: fetched.jobs,
        more: fetched.more || store.waiting(clock.wallMs()) > handed.waiting(queue),
      };
    },
    async started(id, attempt, _agent, state) {
      const job = running(id, state);
      if (job === undefined || attempt <= job.attempt) return;
      const startSeconds = Math.floor(clock.wallMs() / 1000);
      store.change(id, { state: 'running', isAccepted: true, attempt, startSeconds });
    },
    async renewed(id, attempt, _progress, state) {
      const job = running(id, state);
      if (job === undefined || attempt <= job.attempt) return;
      store.change(id, { state: 'running', isAccepted: true, attempt });
    },
    async released(id, attempt, _reason, state) {
      const job = running(id, state);
      if (job === undefined || attempt < job.attempt) return;
      const restarts = job.state === 'running' ? job.restarts + 1 : job.restarts;
      store.change(id, { state: 'idle', isAccepted: true, attempt, restarts });
    },
    async finished(id, attempt, manifest, usage, state) {
      const job = known(id, state);
      if (job === undefined) return 'refused';
      ended(job);
      // The same news at once is one piece of news.
      let now = job;
      for (let before = under.get(id); before !== undefined; before = under.get(id)) {
        await before.catch(() => undefined);
        now = store.job(id) ?? job;
      }
      const answer = ends.finished(now, attempt, manifest, usage);
      under.set(id, answer);
      try {
        await answer;
        await store.settled();
        return await answer;
      } finally {
        if (under.get(id) === answer) under.delete(id);
        tellRoom();
      }
    },
    async failed(id, outcome, reason, attempts, state) {
      const job = known(id, state);
      if (job === undefined) return;
      ended(job);
      if (outcome === 'failed') ends.failed(job, reason, attempts);
      else if (!isEnded(job.state))
        store.change(id, { state: 'killed', isAccepted: true, message: reason.slice(0, 400) });
      await store.settled();
      tellRoom();
    },
    onWork(next) {
      handler = next;
      reminder ??= clock.schedule(0, remind);
    },
    unfinished: () => store.withBroker(),
    async stop() {
      if (isStopped) return;
      isStopped = true;
      reminder?.();
      await worker.stop();
      await transfers.stop();
      await status.stop();
      await Promise.allSettled(under.values());
      await store.close();
    },
  };
}

function isSameTry(one: JobState, other: JobState): boolean {
  return one.task === other.task && one.number === other.number && one.retry === other.retry;
}

async function newJobs(
  store: TaskStore,
  terms: JobTerms,
  jobs: readonly StoredJob[],
): Promise<readonly NewJob[]> {
  return jobs.flatMap((job) => {
    const found = store.task(job.task);
    if (found === undefined) return [];
    const { number, retry, bounds } = job;
    return newJobOf(terms, { task: found.task, sandbox: found.sandbox, number, retry, bounds });
  });
}

/** Made at the first use, and again where that failed. */
function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((caught: unknown) => {
      made = undefined;
      throw caught;
    });
    return made;
  };
}
