import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { fitting, MAX_FETCH_JOBS } from '../fetch-bound.ts';
import type { Fetched, NewJob } from '../job-adapter.ts';

/** How long a job that was handed over waits to be named as accepted before it is handed over again. */
export const HAND_AGAIN_MS = 10_000;

/** Jobs that were taken from a framework and that no broker has named as accepted. Lives in memory: the framework keeps the list. */
export interface HandedJobs {
  /**
   * Jobs that the framework has given, or still counts as given after a restart: due at once. One that is known, waiting or accepted,
   * is passed over. Answers how many are new; what is over the bound is not taken.
   */
  offer(queue: string, jobs: readonly NewJob[]): number;
  /** Those that are due, the oldest first, at most `max` and what one message carries; they are due again after `HAND_AGAIN_MS`. */
  take(queue: string, max: number): Fetched;
  /** The broker has them: they are never handed over again by this process. Unknown ids are no harm. */
  accept(ids: readonly string[]): void;
  /** It ended before a broker had it, or its framework has taken it back. */
  drop(id: string): void;
  /**
   * How many jobs to take from the framework for a fetch of `max`: never so many that more than `max` wait to be accepted, nor more
   * than the bound of all queues leaves.
   */
  wanted(queue: string, max: number): number;
  /** Jobs of a queue that wait to be accepted. */
  waiting(queue: string): number;
  isKnown(id: string): boolean;
}

export interface HandedJobsOptions {
  readonly clock: Clock;
  /** Jobs of all queues that may wait to be accepted. */
  readonly maxWaiting?: number;
  /** Ids that are remembered as accepted; the oldest is forgotten first, and would be handed over again at most. */
  readonly maxAccepted?: number;
}

const MAX_WAITING = 1024;
const MAX_ACCEPTED = 100_000;

interface Waiting {
  readonly job: NewJob;
  readonly queue: string;
  /** Undefined where it is due. */
  handedMs: number | undefined;
}

export function createHandedJobs(options: HandedJobsOptions): HandedJobs {
  const { clock, maxWaiting = MAX_WAITING, maxAccepted = MAX_ACCEPTED } = options;
  const waiting = new Map<string, Waiting>();
  const accepted = new Set<string>();

  const inQueue = (queue: string): readonly Waiting[] =>
    [...waiting.values()].filter((entry) => entry.queue === queue);
  const isKnown = (id: string): boolean => waiting.has(id) || accepted.has(id);
  const isDue = ({ handedMs }: Waiting): boolean =>
    handedMs === undefined || clock.monotonicMs() - handedMs >= HAND_AGAIN_MS;
  const accept = (id: string): void => {
    waiting.delete(id);
    // Deleted and added again, so that the set's order is that of their last mention.
    accepted.delete(id);
    accepted.add(id);
    const [oldest] = accepted;
    if (accepted.size > maxAccepted && oldest !== undefined) accepted.delete(oldest);
  };

  return {
    offer(queue, jobs) {
      let taken = 0;
      for (const job of jobs) {
        if (isKnown(job.job) || waiting.size >= maxWaiting) continue;
        waiting.set(job.job, { job, queue, handedMs: undefined });
        taken++;
      }
      return taken;
    },
    take(queue, max) {
      const due = inQueue(queue).filter(isDue);
      const jobs = fitting(due.slice(0, Math.min(max, MAX_FETCH_JOBS)).map(({ job }) => job));
      for (const entry of due.slice(0, jobs.length)) entry.handedMs = clock.monotonicMs();
      return { jobs, more: jobs.length < due.length };
    },
    accept(ids) {
      for (const id of ids) accept(id);
    },
    drop: (id) => void waiting.delete(id),
    wanted(queue, max) {
      const lacking = Math.min(max, MAX_FETCH_JOBS) - inQueue(queue).length;
      return Math.max(0, Math.min(lacking, maxWaiting - waiting.size));
    },
    waiting: (queue) => inQueue(queue).length,
    isKnown,
  };
}
