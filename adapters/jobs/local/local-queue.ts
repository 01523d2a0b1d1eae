import { CoPilotError } from '../../../protocol/errors.ts';
import type { File, Usage } from '../../../protocol/generated/types.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { Cancel, Clock, Log, Random } from '../../../protocol/runtime/runtime.ts';
import type { TakeSnapshot } from '../../../protocol/runtime/snapshot-desk.ts';
import { snapshotDatabase } from '../../../protocol/runtime/sqlite-snapshot.ts';
import type { FailedAttempt, Fetched } from '../job-adapter.ts';
import type { TurnWeights } from '../turns.ts';
import { createTurnsByQueue } from './queue-turns.ts';
import { createGroupCommit } from './group-commit.ts';
import * as states from './job-state.core.ts';
import { queueFault } from './queue-fault.ts';
import { openQueueDatabase } from './queue-database.ts';
import { acceptJobs, fetchJobs } from './queue-fetch.ts';
import { pruneJobs, type QueuePruned, type QueueRetention } from './queue-prune.ts';
import {
  beginPause,
  cancelCampaign,
  giveBackMore,
  holdMore,
  holdWhatIsPaused,
  listCampaigns,
  listQueues,
  mustSummarise,
  summarise,
} from './queue-campaigns.ts';
import { advance, cancelJob, failJob, finishJob, releaseAttempt } from './queue-report.ts';
import type { QueueStore } from './queue-store.ts';
import { checkSubmission, retryJob, submitJobs } from './queue-submit.ts';
import { countCampaign, countStates, listJobs, showDetail, showJob, waitingByQueue } from './queue-view.ts';
import type {
  CampaignCounts,
  CampaignPage,
  CampaignSummary,
  CancelledPage,
  JobChange,
  JobDetail,
  JobFilter,
  JobPage,
  QueueSummary,
  Submission,
  Submitted,
} from './queued-job.ts';
import { textColumn } from './row-reader.ts';

/** The broker is to end a job. */
export interface Unwanted {
  readonly job: string;
  readonly reason: string;
}

/**
 * A durable queue of jobs in one SQLite file, for one process. What a promise answers is on the disk; what was called in one
 * turn of the event loop shares one sync. Rejects with `QUEUE_FULL`, `QUEUE_CORRUPT` or `QUEUE_UNAVAILABLE`; then nothing happened.
 */
export interface LocalQueue {
  /** All jobs or none. Also rejects with `INVALID_REQUEST` and, where the key stood for other jobs, `CONFLICT`. */
  submit(submission: Submission): Promise<Submitted>;
  list(filter: JobFilter): JobPage;
  show(job: string): JobDetail | undefined;
  counts(campaign: string): CampaignCounts | undefined;
  /** Ends a job the broker never acknowledged at once, and any other when the broker says so. Rejects with `NOT_FOUND`. */
  cancel(job: string): Promise<JobDetail>;
  campaigns(after: string, limit: number): CampaignPage;
  campaign(name: string): CampaignSummary | undefined;
  queues(): readonly QueueSummary[];
  /**
   * Once it resolves no pending job of the campaign is handed over, later ones included; what the broker has goes on. Outlives
   * restarts. Rejects with `NOT_FOUND`.
   */
  pause(campaign: string): Promise<CampaignSummary>;
  /** Takes `pause` back. Rejects with `NOT_FOUND`. */
  resume(campaign: string): Promise<CampaignSummary>;
  /** `cancel` for the next `limit` jobs of a campaign after job number `after`, or those in one state. Rejects with `NOT_FOUND`. */
  cancelCampaign(
    campaign: string,
    filter: { readonly state?: states.LocalState; readonly after: number; readonly limit: number },
  ): Promise<CancelledPage>;
  /** Queues a failed or cancelled job again; answers the new id. Rejects with `NOT_FOUND` or `CONFLICT`. */
  retry(job: string): Promise<string>;

  /** A broker is there (again): what an earlier session handed over and nobody acknowledged is due at once. */
  brokerCame(): void;
  fetch(queue: string, max: number, accepted: readonly string[]): Promise<Fetched>;
  started(job: string, attempt: number, agent: string): Promise<void>;
  renewed(job: string, attempt: number, progress: number): Promise<void>;
  released(job: string, attempt: number, reason: string): Promise<void>;
  finished(job: string, attempt: number, manifest: readonly File[], usage: Usage): Promise<'ok' | 'refused'>;
  failed(
    job: string,
    outcome: 'failed' | 'cancelled',
    reason: string,
    attempts: readonly FailedAttempt[],
  ): Promise<void>;

  /** Jobs of each queue that the broker has not acknowledged. */
  waiting(): ReadonlyMap<string, number>;
  /** How many jobs there are in each state. */
  states(): ReadonlyMap<string, number>;
  /** At most `limit` jobs that the broker holds and somebody cancelled. */
  cancelling(limit: number): readonly Unwanted[];
  /** Looks at the next jobs, at most `limit`, and removes those that ended and the retention does not keep. */
  prune(retention: QueueRetention, limit: number): Promise<QueuePruned>;
  /** Called after each sync with what became durable, in order. */
  onChange(listener: (changes: readonly JobChange[]) => void): Cancel;
  /** Called when the broker spoke of a job that somebody cancelled. */
  onUnwanted(listener: (unwanted: Unwanted) => void): Cancel;
  /** Copies the queue to a new file while it goes on, as of one moment after the call. */
  snapshot: TakeSnapshot;
  /** Syncs what waits and closes; idempotent. */
  close(): Promise<void>;
}

export interface LocalQueueOptions {
  readonly path: string;
  readonly clock?: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Weights by queue; owners and campaigns have equal turns where they are left out. */
  readonly turns?: Readonly<Record<string, TurnWeights>>;
  /** The file grows to at most so many pages of 4 KiB; then `QUEUE_FULL`. The disk alone bounds it by default. */
  readonly maxPages?: number;
}

/** Opens or creates the queue. Rejects with `QUEUE_IN_USE`, `QUEUE_CORRUPT`, `QUEUE_FULL` or `QUEUE_UNAVAILABLE`. */
export async function openLocalQueue(options: LocalQueueOptions): Promise<LocalQueue> {
  const { path, clock = nodeClock, random, log } = options;
  const turns = createTurnsByQueue(options.turns);
  const store: QueueStore = { ...openQueueDatabase(path, options.maxPages), clock, changes: [], turns };
  const changeListeners = new Set<(changes: readonly JobChange[]) => void>();
  const unwantedListeners = new Set<(unwanted: Unwanted) => void>();
  const place = { seq: 0, submission: '' };
  let closed = false;
  let brokerCameMs = Number.NEGATIVE_INFINITY;

  const group = createGroupCommit(store.database, path, (durable) => {
    const changes = store.changes.splice(0);
    if (!durable) log.warn({ path }, 'a group of changes could not be stored');
    else if (changes.length > 0) for (const listener of changeListeners) listener(changes);
  });
  const view = <T>(read: () => T): T => {
    if (closed) throw new CoPilotError('QUEUE_UNAVAILABLE', 'the local queue is closed');
    try {
      return read();
    } catch (caught) {
      throw queueFault(caught, path);
    }
  };
  const tellUnwanted = (job: string): void => {
    for (const listener of unwantedListeners) listener({ job, reason: CANCELLED });
  };
  const hear = async (
    job: string,
    step: (progress: states.JobProgress) => states.JobProgress,
  ): Promise<void> => {
    const before = await group.run(() => advance(store, job, step));
    if (before !== undefined && states.wantsKill(before.progress)) tellUnwanted(job);
  };

  view(() => holdWhatIsPaused(store));
  log.info({ path, opening: store.opening }, 'local queue open');
  return {
    async submit(submission) {
      checkSubmission(submission);
      return group.run(() => submitJobs(store, random, submission));
    },
    list: (filter) => view(() => listJobs(store, filter)),
    show: (job) => view(() => showJob(store, job)),
    counts: (campaign) => view(() => countCampaign(store, campaign)),
    async cancel(id) {
      const job = await group.run(() => cancelJob(store, id));
      if (states.wantsKill(job.progress)) tellUnwanted(id);
      return view(() => showDetail(store, job));
    },
    campaigns: (after, limit) => view(() => listCampaigns(store, after, limit)),
    campaign: (name) => view(() => summarise(store, name)),
    queues: () => view(() => listQueues(store)),
    async pause(campaign) {
      await group.run(() => beginPause(store, campaign));
      while (await group.run(() => holdMore(store, campaign)));
      return view(() => mustSummarise(store, campaign));
    },
    async resume(campaign) {
      while (await group.run(() => giveBackMore(store, campaign)));
      return view(() => mustSummarise(store, campaign));
    },
    async cancelCampaign(campaign, filter) {
      const { page, unwanted } = await group.run(() => cancelCampaign(store, campaign, filter));
      for (const { id } of unwanted) tellUnwanted(id);
      return page;
    },
    retry: (job) => group.run(() => retryJob(store, random, job)),
    brokerCame() {
      brokerCameMs = clock.monotonicMs();
    },
    async fetch(queue, max, accepted) {
      const answer = await group.run(() => {
        const unwanted = acceptJobs(store, accepted);
        return { unwanted, fetched: fetchJobs(store, queue, max, brokerCameMs) };
      });
      for (const job of answer.unwanted) tellUnwanted(job.id);
      return answer.fetched;
    },
    started: (job, attempt, agent) => hear(job, (progress) => states.start(progress, attempt, agent)),
    renewed: (job, attempt, done) => hear(job, (progress) => states.renew(progress, attempt, done)),
    async released(job, attempt, reason) {
      const before = await group.run(() => releaseAttempt(store, job, attempt, reason));
      if (before !== undefined && states.wantsKill(before.progress)) tellUnwanted(job);
    },
    finished: (job, attempt, manifest, usage) =>
      group.run(() => finishJob(store, job, attempt, manifest, usage)),
    failed: (job, outcome, reason, attempts) =>
      group.run(() => failJob(store, job, outcome, reason, attempts)),
    states: () => view(() => countStates(store)),
    waiting: () => view(() => waitingByQueue(store)),
    cancelling: (limit) =>
      view(() =>
        store.statements.cancelling
          .all(0, limit)
          .map((row) => ({ job: textColumn(row, 'id'), reason: CANCELLED })),
      ),
    prune: (retention, limit) => group.run(() => pruneJobs(store, retention, place, limit)),
    onChange: (listener) => listen(changeListeners, listener),
    onUnwanted: (listener) => listen(unwantedListeners, listener),
    async snapshot(to, onProgress) {
      view(() => undefined);
      await snapshotDatabase(store.database, to, onProgress);
    },
    async close() {
      if (closed) return;
      group.close();
      closed = true;
      store.database.close();
      log.info({ path }, 'local queue closed');
    },
  };
}

const CANCELLED = 'cancelled by its owner';

function listen<L>(listeners: Set<L>, listener: L): Cancel {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}
