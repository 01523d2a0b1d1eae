import { duties } from '../core/duties.ts';
import type { JobRow } from '../core/state.ts';
import type { JobQuery, StoredJob } from './ledger.ts';

/** Earliest deadline of a live attempt; null where there is none. */
export function liveDeadline(job: JobRow): number | null {
  const deadlines = job.attempts
    .filter((attempt) => attempt.state === 'live')
    .map((attempt) => attempt.deadlineMs);
  return deadlines.length === 0 ? null : Math.min(...deadlines);
}

export function storedJob(job: JobRow, description: string): StoredJob {
  return { job, description, duties: duties(job) };
}

/** Whether `list` shows the job under the query. */
export function matches(job: JobRow, query: JobQuery['kind']): boolean {
  switch (query) {
    case 'queued':
      return job.state === 'queued';
    case 'live':
      return liveDeadline(job) !== null;
    case 'duties':
      return duties(job).length > 0;
    case 'all':
      return true;
  }
}
