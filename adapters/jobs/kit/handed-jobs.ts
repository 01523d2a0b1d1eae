import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { fitting, MAX_FETCH_JOBS } from '../fetch-bound.ts';
import type { Fetched, NewJob } from '../job-adapter.ts';
import type { AcceptedJobs } from './accepted-jobs.ts';

/** How long a job that was handed over waits to be named as accepted before it is handed over again. */
const HAND_AGAIN_MS = 10_000;

/**
 * Jobs that were taken from a framework and that no broker has named as accepted, and how many are with us in all. After a restart the
 * framework lists the former, and the broker speaks of the latter; until it does, they count as those of before.
 */
export interface HandedJobs {
  /**
   * Jobs that the framework has given, or still counts as given after a restart: due at once. One that is known, waiting or accepted,
   * is passed over. Answers how many are new; what is over a bound is not taken.
   */
  offer(queue: string, jobs: readonly NewJob[]): number;
  /** Those that are due, the oldest first, at most `max` and what one message carries; they are due again after `HAND_AGAIN_MS`. */
  take(queue: string, max: number): Fetched;
  /** A broker has named them or speaks of them: they are never handed over again by this process. Unknown ids are taken in. */
  accept(ids: readonly string[]): void;
  /** It is over, whether a broker had it or not; it is not taken in again. */
  end(id: string): void;
  /** Its framework has taken it back, and may give it again. */
  drop(id: string): void;
  /**
   * How many jobs to take from the framework for a fetch of `max`: never so many that more than `max` wait to be accepted, nor more
   * than either bound leaves.
   */
  wanted(queue: string, max: number): number;
  /** Jobs of a queue that wait to be accepted. */
  waiting(queue: string): number;
  isKnown(id: string): boolean;
  /** `end` was called: late news of it say nothing. */
  isOver(id: string): boolean;
  /** One that waits to be accepted. */
  find(id: string): NewJob | undefined;
  /** Jobs that are with us: waiting or accepted, and not ended. */
  unfinished(): number;
}

export interface HandedJobsOptions {
  readonly clock: Clock;
  /** Jobs of all queues that may wait to be accepted. */
  readonly maxWaiting?: number;
  /** Jobs that may be with us: the adapter's ceiling. */
  readonly maxUnfinished?: () => number;
  /** One ended, or was taken back, while there was no room for another: nobody has to wait for the next look. */
  readonly onRoom?: () => void;
  /** Where those that a broker has are noted for the next process; without it that one does not count them. */
  readonly accepted?: AcceptedJobs;
  /** Ids that are remembered beside those that wait; the one mentioned longest ago is forgotten first, and would be handed over again at most. */
  readonly maxKnown?: number;
}

const MAX_WAITING = 1024;
const MAX_KNOWN = 200_000;
/** A job of before that nobody speaks of for so long is no broker's any more. */
const SILENT_MS = 86_400_000;

interface Waiting {
  readonly job: NewJob;
  readonly queue: string;
  /** Undefined where it is due. */
  handedMs: number | undefined;
}

export function createHandedJobs(options: HandedJobsOptions): HandedJobs {
  const { clock, maxWaiting = MAX_WAITING, maxKnown = MAX_KNOWN, maxUnfinished = () => Infinity } = options;
  const waiting = new Map<string, Waiting>();
  const known = new Map<string, 'accepted' | 'ended'>();
  /** With a broker when this process began, and not spoken of since. */
  const before = new Set(options.accepted?.ids());
  const beganMs = clock.monotonicMs();
  let accepted = 0;

  const inQueue = (queue: string): readonly Waiting[] =>
    [...waiting.values()].filter((entry) => entry.queue === queue);
  const isKnown = (id: string): boolean => waiting.has(id) || known.has(id);
  const isDue = ({ handedMs }: Waiting): boolean =>
    handedMs === undefined || clock.monotonicMs() - handedMs >= HAND_AGAIN_MS;
  const note = (id: string, isAccepted: boolean): void => options.accepted?.note(id, isAccepted);
  const forget = (id: string): void => {
    before.delete(id);
    if (known.get(id) === 'accepted') accepted--;
    known.delete(id);
    waiting.delete(id);
  };
  const remember = (id: string, as: 'accepted' | 'ended'): void => {
    // Deleted and set again, so that the map's order is that of the last mention.
    forget(id);
    known.set(id, as);
    if (as === 'accepted') accepted++;
    note(id, as === 'accepted');
    if (known.size <= maxKnown) return;
    const [oldest] = known.keys();
    if (oldest !== undefined) drop(oldest);
  };
  const drop = (id: string): void => {
    forget(id);
    note(id, false);
  };
  const ofBefore = (): number => {
    if (clock.monotonicMs() - beganMs >= SILENT_MS) for (const id of before) drop(id);
    return before.size;
  };
  const unfinished = (): number => waiting.size + accepted + ofBefore();
  const isFull = (): boolean => unfinished() >= maxUnfinished();
  const makingRoom = (change: () => void): void => {
    const wasFull = isFull();
    change();
    if (wasFull && !isFull()) options.onRoom?.();
  };

  return {
    offer(queue, jobs) {
      let taken = 0;
      for (const job of jobs) {
        // Its framework still gives it out: whether a broker has it, is asked again.
        if (before.has(job.job)) drop(job.job);
        if (isKnown(job.job) || waiting.size >= maxWaiting || isFull()) continue;
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
      for (const id of ids) if (known.get(id) !== 'ended') remember(id, 'accepted');
    },
    end: (id) => makingRoom(() => remember(id, 'ended')),
    drop: (id) => makingRoom(() => drop(id)),
    wanted(queue, max) {
      const lacking = Math.min(max, MAX_FETCH_JOBS) - inQueue(queue).length;
      return Math.max(0, Math.min(lacking, maxWaiting - waiting.size, maxUnfinished() - unfinished()));
    },
    waiting: (queue) => inQueue(queue).length,
    isKnown,
    isOver: (id) => known.get(id) === 'ended',
    find: (id) => waiting.get(id)?.job,
    unfinished,
  };
}
