import { bytesOf } from '../../protocol/encoding.ts';
import type { NewJob } from '../../protocol/generated/types.ts';

/** Most jobs one fetch hands over, whatever is asked for. */
export const MAX_FETCH_JOBS = 64;

/** Most bytes of JSON the jobs of one fetch take together: the answer shares a sealed message of 32 KiB with others. */
export const MAX_FETCH_BYTES = 27 * 1024;

/** Bytes one job takes in the answer to a fetch, its comma included. */
export function jobBytes(job: NewJob): number {
  return bytesOf(JSON.stringify(job)).length + 1;
}

/** The leading jobs that fit one answer. A single job always fits: descriptions are bounded below half of the bound. */
export function fitting(jobs: readonly NewJob[]): readonly NewJob[] {
  let bytes = 0;
  let count = 0;
  for (const job of jobs.slice(0, MAX_FETCH_JOBS)) {
    bytes += jobBytes(job);
    if (bytes > MAX_FETCH_BYTES) break;
    count++;
  }
  return jobs.slice(0, count);
}
