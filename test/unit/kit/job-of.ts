import type { NewJob } from '../../../adapters/jobs/job-adapter.ts';
import { jobIdOf } from '../../../adapters/jobs/kit/job-id.ts';

/** A job that the contract takes. */
export function jobOf(ref: string, padding = 0): NewJob {
  return {
    job: jobIdOf('test', ref),
    ref,
    owner: 'ann',
    site: 'home',
    campaign: 'first',
    priority: 0,
    retries: 0,
    description: {
      command: 'true',
      arguments: padding === 0 ? [] : Array.from({ length: padding }, () => 'x'.repeat(1000)),
      environment: {},
      inputs: [],
      outputs: [],
      limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 16 },
      requirements: '',
    },
    state: ref,
  };
}
