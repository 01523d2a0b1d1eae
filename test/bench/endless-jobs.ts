import type { JobAdapter } from '../../adapters/jobs/job-adapter.ts';
import { fitting } from '../../adapters/jobs/fetch-bound.ts';
import { newId } from '../../protocol/encoding.ts';
import type { Random } from '../../protocol/runtime/runtime.ts';
import { newJob } from './stage.ts';

/** A framework that never runs out of jobs and remembers none: what is measured is the broker. */
export function createEndlessJobs(random: Random): JobAdapter {
  const heard = async (): Promise<void> => undefined;
  return {
    fetch: async (_queue, max) => {
      const jobs = fitting(Array.from({ length: max }, () => newJob(newId(random))));
      return { jobs, more: true };
    },
    started: heard,
    renewed: heard,
    released: heard,
    finished: async () => 'ok',
    failed: heard,
    onWork: () => undefined,
  };
}
