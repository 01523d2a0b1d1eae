import { CoPilotError } from '../../../protocol/errors.ts';
import type { FailedAttempt } from '../job-adapter.ts';
import type { LocalState } from './job-state.core.ts';
import { findJob, type QueueStore, readDescription, storedJob } from './queue-store.ts';
import type {
  CampaignCounts,
  JobDetail,
  JobFilter,
  JobPage,
  JobResult,
  JobSummary,
  StoredJob,
} from './queued-job.ts';
import { jsonColumn, numberColumn, type SqlRow, textColumn } from './row-reader.ts';
import { isOutcome } from './stored-json.core.ts';

/** Most jobs of one page. */
export const MAX_PAGE = 1000;

const DEFAULT_PAGE = 100;

export function listJobs(store: QueueStore, filter: JobFilter): JobPage {
  const limit = Math.max(1, Math.min(MAX_PAGE, filter.limit ?? DEFAULT_PAGE));
  const rows = pageRows(store, filter, limit + 1).map(storedJob);
  const jobs = rows.slice(0, limit);
  const last = jobs.at(-1);
  if (last === undefined || rows.length <= limit) return { jobs: jobs.map(summary) };
  return { jobs: jobs.map(summary), next: last.seq };
}

/** The rows of a page, in the order of submission. */
export function pageRows(store: QueueStore, filter: JobFilter, limit: number): readonly SqlRow[] {
  const after = filter.after ?? 0;
  const { page, pageOfState, pageOfCampaign, pageOfCampaignAndState } = store.statements;
  if (filter.campaign === undefined) {
    return filter.state === undefined ? page.all(after, limit) : pageOfState.all(after, limit, filter.state);
  }
  return filter.state === undefined
    ? pageOfCampaign.all(after, limit, filter.campaign)
    : pageOfCampaignAndState.all(after, limit, filter.campaign, filter.state);
}

export function showJob(store: QueueStore, id: string): JobDetail | undefined {
  const job = findJob(store, id);
  return job === undefined ? undefined : showDetail(store, job);
}

export function showDetail(store: QueueStore, job: StoredJob): JobDetail {
  const result = readResult(store, job.seq);
  return {
    ...summary(job),
    owner: job.owner,
    retries: job.retries,
    description: readDescription(store, job.seq),
    failures: store.statements.failures.all(job.seq).map(failedAttempt),
    ...(result !== undefined && { result }),
    retryOf: job.retryOf,
    retriedAs: job.retriedAs,
  };
}

/** Undefined where the queue never had a job of that campaign. */
export function countCampaign(store: QueueStore, campaign: string): CampaignCounts | undefined {
  const counts = tallied(store, 'campaign', campaign);
  if (counts.size === 0) return undefined;
  const states = byState(counts);
  const total = Object.values(states).reduce((sum, count) => sum + count, 0);
  return { campaign, total, states, retried: counts.get('retried') ?? 0 };
}

/** How many jobs of a queue are where; undefined where it never had one. */
export function countQueue(
  store: QueueStore,
  queue: string,
): Readonly<Record<LocalState, number>> | undefined {
  const counts = tallied(store, 'queue', queue);
  return counts.size === 0 ? undefined : byState(counts);
}

function byState(counts: ReadonlyMap<string, number>): Readonly<Record<LocalState, number>> {
  const of = (state: LocalState): number => counts.get(state) ?? 0;
  return {
    pending: of('pending'),
    handed: of('handed'),
    accepted: of('accepted'),
    running: of('running'),
    finished: of('finished'),
    failed: of('failed'),
    cancelled: of('cancelled'),
  };
}

/** How many jobs of each queue the broker has not acknowledged; queues without any are left out. */
export function waitingByQueue(store: QueueStore): ReadonlyMap<string, number> {
  const rows = store.statements.waitingQueues.all();
  return new Map(rows.map((row) => [textColumn(row, 'name'), numberColumn(row, 'count')]));
}

/** How many jobs there are in each state. */
export function countStates(store: QueueStore): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const row of store.statements.states.all()) {
    const state = textColumn(row, 'state');
    counts.set(state, (counts.get(state) ?? 0) + numberColumn(row, 'count'));
  }
  return counts;
}

function tallied(store: QueueStore, scope: string, name: string): ReadonlyMap<string, number> {
  const rows = store.statements.tally.all(scope, name);
  return new Map(rows.map((row) => [textColumn(row, 'state'), numberColumn(row, 'count')]));
}

function readResult(store: QueueStore, seq: number): JobResult | undefined {
  const row = store.statements.result.get(seq);
  if (row === undefined) return undefined;
  const outcome = { manifest: jsonColumn(row, 'manifest'), usage: jsonColumn(row, 'usage') };
  if (!isOutcome(outcome))
    throw new CoPilotError('QUEUE_CORRUPT', 'the local queue holds an unreadable result');
  return { attempt: numberColumn(row, 'attempt'), manifest: outcome.manifest, usage: outcome.usage };
}

function failedAttempt(row: SqlRow): FailedAttempt {
  return {
    attempt: numberColumn(row, 'attempt'),
    reason: textColumn(row, 'reason'),
    logTail: textColumn(row, 'log_tail'),
  };
}

function summary(job: StoredJob): JobSummary {
  const { state, attempt, agent, progress, cancelling, reason } = job.progress;
  const { id, label, queue, campaign, priority, submittedMs, changedMs } = job;
  return {
    job: id,
    label,
    queue,
    campaign,
    priority,
    state,
    attempt,
    agent,
    progress,
    cancelling,
    reason,
    submittedMs,
    changedMs,
  };
}
