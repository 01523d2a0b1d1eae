import type { NewJob } from '../../../adapters/jobs/job-adapter.ts';
import type { CrabWorld } from './crab-world.ts';

type Wanted = Parameters<CrabWorld['client']['submit']>[1];

/** What tests do in a world again and again. */
export interface CrabUser {
  readonly statusOf: (task: string) => string;
  /** A task that the worker has looked at. */
  readonly submitted: (parameters?: Wanted) => Promise<string>;
  readonly oneJob: (parameters?: Wanted) => Promise<{ readonly task: string; readonly job: NewJob }>;
  /** The broker says that the job has failed for good. */
  readonly fail: (job: NewJob, exit?: { readonly kind: 'exited'; readonly code: number }) => Promise<void>;
}

/** `world` is that of the moment. */
export function createCrabUser(world: () => CrabWorld): CrabUser {
  const submitted: CrabUser['submitted'] = async (parameters = {}) => {
    const task = await world().client.submit('study', parameters);
    await world().turn();
    return task;
  };
  return {
    statusOf: (task) => world().crab.tasks.get(task).tm_task_status,
    submitted,
    async oneJob(parameters = {}) {
      const task = await submitted(parameters);
      const [job] = await world().take();
      return { task, job: job! };
    },
    fail: (job, exit) =>
      world()
        .adapter()
        .failed(
          job.job,
          'failed',
          'exit',
          [{ attempt: 1, reason: 'exit', logTail: '', ...(exit && { exit }) }],
          job.state ?? '',
        ),
  };
}
