import type { NewJob } from '../../../protocol/generated/types.ts';
import { jobBytes, MAX_FETCH_BYTES, MAX_FETCH_JOBS } from '../fetch-bound.ts';
import type { Fetched } from '../job-adapter.ts';
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
 * Hands over what an earlier answer may have lost, then what never was handed over, within the bounds of one answer. What was
 * handed over until `sinceMs` may have died with the broker that had it.
 */
export function fetchJobs(store: QueueStore, queue: string, max: number, sinceMs: number): Fetched {
  const limit = Math.max(0, Math.min(max, MAX_FETCH_JOBS));
  const candidates = dueJobs(store, queue, limit + 1, sinceMs);
  const jobs = takeFitting(store, candidates, limit);
  const nowMs = Math.floor(store.clock.monotonicMs());
  for (const { stored } of jobs) handOver(store, stored, nowMs);
  return { jobs: jobs.map(({ job }) => job), more: jobs.length < candidates.length };
}

function dueJobs(store: QueueStore, queue: string, limit: number, sinceMs: number): readonly StoredJob[] {
  const dueMs = Math.max(Math.floor(store.clock.monotonicMs()) - HAND_AGAIN_MS, Math.floor(sinceMs));
  const overdue = store.statements.overdue.all(queue, store.opening, dueMs, limit).map(storedJob);
  const pending = store.statements.pending.all(queue, limit).map(storedJob);
  return [...overdue, ...pending].sort(bestFirst).slice(0, limit);
}

function bestFirst(one: StoredJob, other: StoredJob): number {
  return other.priority - one.priority || one.seq - other.seq;
}

interface Taken {
  readonly stored: StoredJob;
  readonly job: NewJob;
}

function takeFitting(store: QueueStore, candidates: readonly StoredJob[], limit: number): readonly Taken[] {
  const taken: Taken[] = [];
  let bytes = 0;
  for (const stored of candidates.slice(0, limit)) {
    const job = newJob(store, stored);
    bytes += jobBytes(job);
    if (bytes > MAX_FETCH_BYTES) break;
    taken.push({ stored, job });
  }
  return taken;
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
