import type { AcceptedJobs } from '../../adapters/jobs/kit/accepted-jobs.ts';

/** Keeps nothing, for tests that are about something else. */
export const deafAccepted: AcceptedJobs = {
  ids: () => [],
  note: () => undefined,
  settled: () => Promise.resolve(),
};
