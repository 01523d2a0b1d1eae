import type { JobRow } from './state.ts';

/**
 * The job as it was before its framework acknowledged its end, for a ledger that is put back beside a framework that forgot:
 * it is told again, which is harmless where it did not (I5). Undefined where nothing is to be told again.
 */
export function untold(job: JobRow): JobRow | undefined {
  if (!job.told) return undefined;
  switch (job.state) {
    case 'told':
      return { ...job, state: 'committed', told: false, events: 0, finishedMs: null };
    case 'failed':
    case 'cancelled':
      return { ...job, told: false };
    default:
      return undefined;
  }
}
