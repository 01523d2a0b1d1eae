import type { NewJob } from '../../../protocol/generated/types.ts';
import { jobBytes, MAX_FETCH_BYTES, MAX_FETCH_JOBS } from '../fetch-bound.ts';
import type { Fetched } from '../job-adapter.ts';
import type { WaitingIndex } from '../turns.ts';
import { accept, wantsKill } from './job-state.core.ts';
import {
  findJob,
  noteChange,
  type QueueStore,
  readDescription,
  saveProgress,
  storedJob,
} from './queue-store.ts';
import { LOCAL_SITE } from './queue-submit.ts';
import type { StoredJob } from './queued-job.ts';
import { numberColumn, type SqlRow, textColumn } from './row-reader.ts';

/** How long a job that was handed over waits to be named as accepted before it is handed over again. */
const HAND_AGAIN_MS = 10_000;

/** Notes what the broker has; answers those it should end, because they were cancelled meanwhile. */
export function acceptJobs(store: QueueStore, accepted: readonly string[]): readonly StoredJob[] {
  const unwanted: StoredJob[] = [];
  for (const id of accepted) {
    const job = findJob(store, id);
    if (job === undefined) continue;
    if (wantsKill(job.progress)) unwanted.push(job);
    saveProgress(store, job, accept(job.progress));
  }
  return unwanted;
}

/**
 * Hands over what an earlier answer may have lost, then what never was handed over, owners and campaigns in turn, within the
 * bounds of one answer. What was handed over until `sinceMs` may have died with the broker that had it.
 */
export function fetchJobs(store: QueueStore, queue: string, max: number, sinceMs: number): Fetched {
  const limit = Math.max(0, Math.min(max, MAX_FETCH_JOBS));
  const nowMs = Math.floor(store.clock.monotonicMs());
  const jobs: NewJob[] = [];
  let bytes = 0;
  for (const { stored, taken } of dueJobs(store, queue, limit + 1, sinceMs)) {
    const job = newJob(store, stored);
    bytes += jobBytes(job);
    if (jobs.length === limit || bytes > MAX_FETCH_BYTES) return { jobs, more: true };
    handOver(store, stored, nowMs);
    taken();
    jobs.push(job);
  }
  return { jobs, more: false };
}

interface DueJob {
  readonly stored: StoredJob;
  /** It is handed over: its owner and its campaign have had their turn. */
  readonly taken: () => void;
}

/** One after the other; each must be handed over before the next is asked for. */
function* dueJobs(
  store: QueueStore,
  queue: string,
  limit: number,
  sinceMs: number,
): Generator<DueJob, undefined> {
  const dueMs = Math.max(Math.floor(store.clock.monotonicMs()) - HAND_AGAIN_MS, Math.floor(sinceMs));
  const overdue = store.statements.overdue.all(queue, store.opening, dueMs, limit).map(storedJob);
  for (const stored of overdue.sort(bestFirst)) yield { stored, taken: () => undefined };
  const turns = store.turns(queue);
  const index = waitingIndex(store, queue);
  for (let next = turns.next(index); next !== undefined; next = turns.next(index)) {
    const choice = next;
    yield { stored: choice.job, taken: () => turns.had(choice) };
  }
}

function bestFirst(one: StoredJob, other: StoredJob): number {
  return other.priority - one.priority || one.seq - other.seq;
}

function waitingIndex({ statements }: QueueStore, queue: string): WaitingIndex<StoredJob> {
  return {
    ownerAfter: (owner) => optionalText(statements.ownerAfter.get(queue, owner), 'owner'),
    topPriority(owner) {
      const row = statements.topPriority.get(queue, owner);
      return row && numberColumn(row, 'priority');
    },
    campaignAfter: (owner, priority, campaign) =>
      optionalText(statements.campaignAfter.get(queue, owner, priority, campaign), 'campaign'),
    oldest(owner, priority, campaign) {
      const row = statements.oldestPending.get(queue, owner, priority, campaign);
      return row && storedJob(row);
    },
  };
}

function optionalText(row: SqlRow | undefined, name: string): string | undefined {
  return row && textColumn(row, name);
}

function newJob(store: QueueStore, job: StoredJob): NewJob {
  const { id, label, owner, campaign, priority, retries } = job;
  const description = readDescription(store, job.seq);
  return { job: id, ref: label, owner, site: LOCAL_SITE, campaign, priority, retries, description };
}

function handOver(store: QueueStore, job: StoredJob, nowMs: number): void {
  store.statements.hand.run(job.seq, store.opening, nowMs, Math.floor(store.clock.wallMs()));
  if (job.progress.state !== 'handed') noteChange(store, job, { ...job.progress, state: 'handed' });
}
