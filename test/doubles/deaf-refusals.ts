import type { RefusedJobs } from '../../adapters/jobs/kit/refused-jobs.ts';

/** Keeps nothing, for tests that are about something else. */
export const deafRefusals: RefusedJobs = { note: () => undefined, settled: () => Promise.resolve() };
