import type { Clock } from '../../../protocol/runtime/runtime.ts';

/** A job as somebody gives it to the queue; every field is taken as it comes, as real queues do. */
export type SubmittedJob = Readonly<Record<string, unknown>>;

export type JobState = 'waiting' | 'taken' | 'running' | 'finished' | 'failed' | 'cancelled';

/** What the queue knows of a job. */
export interface QueuedJob {
  readonly id: string;
  readonly queue: string;
  readonly said: SubmittedJob;
  try: number;
  state: JobState;
  worker: string;
  /** The newest attempt it heard of. */
  attempt: number;
  progress: number;
  /** Its user wants it ended. */
  unwanted: boolean;
  reason: string;
  files: readonly unknown[];
  heardMs: number;
  /** Beats of it, so far. */
  beats: number;
}

interface Ref {
  readonly id: string;
  readonly try: number;
}

/** One beat of the wire. */
export interface WireBeat extends Ref {
  readonly attempt: number;
  readonly progress: number;
  readonly waiting: boolean;
}

/** One end of the wire. */
export interface WireEnd extends Ref {
  readonly attempt: number;
  readonly outcome: 'finished' | 'failed' | 'cancelled';
  readonly reason?: string;
  readonly files?: readonly unknown[];
}

/** The queue's own states and timers (docs/http-queue.md). */
export interface HttpQueue {
  submit(queue: string, jobs: readonly SubmittedJob[]): readonly string[];
  cancel(id: string): void;
  job(id: string): QueuedJob | undefined;
  jobs(): readonly QueuedJob[];
  take(queue: string, max: number, worker: string): { readonly jobs: readonly object[] };
  held(queue: string, worker: string): object;
  beat(beats: readonly WireBeat[]): object;
  end(end: WireEnd): object;
  /** Whether results are refused from now on: the queue's own check of a result fails. */
  refuseResults(refuses: boolean): void;
  /** After a time in which it could hear nobody, nobody counts as silent. */
  grace(): void;
}

/** A job that nobody speaks of for so long is given to somebody else, as another try. */
export const HOLD_MS = 600_000;
const MAX_HELD = 512;
const RECLAIM_MS = 1_000;
const FINAL: readonly JobState[] = ['finished', 'failed', 'cancelled'];

export function createHttpQueue(clock: Clock): HttpQueue {
  const all = new Map<string, QueuedJob>();
  let refuses = false;
  let reclaimedMs = -RECLAIM_MS;

  const isFinal = ({ state }: QueuedJob): boolean => FINAL.includes(state);
  const reclaim = (): void => {
    // Looked at once a second: with thousands of jobs every request would look at all of them.
    if (clock.monotonicMs() - reclaimedMs < RECLAIM_MS) return;
    reclaimedMs = clock.monotonicMs();
    for (const job of all.values()) {
      const isSilent = clock.monotonicMs() - job.heardMs > HOLD_MS;
      if (!isSilent || isFinal(job) || job.state === 'waiting') continue;
      Object.assign(job, {
        state: job.unwanted ? 'cancelled' : 'waiting',
        worker: '',
        attempt: 0,
        progress: 0,
      });
      job.try++;
    }
  };
  const inQueue = (queue: string): readonly QueuedJob[] =>
    [...all.values()].filter((job) => job.queue === queue);
  const shown = (job: QueuedJob): object => ({ ...job.said, id: job.id, try: job.try });
  const heard = (job: QueuedJob): void => {
    job.heardMs = clock.monotonicMs();
  };
  const found = ({ id, try: number }: Ref): QueuedJob | undefined => {
    const job = all.get(id);
    return job?.try === number ? job : undefined;
  };
  const ended = (job: QueuedJob, answer: 'ok' | 'refused'): object => ({
    id: job.id,
    try: job.try,
    state: job.state,
    attempt: job.attempt,
    answer,
    ...(answer === 'ok' && job.said['events'] !== undefined && { events: job.said['events'] }),
  });
  const outcomeOf = (job: QueuedJob, outcome: WireEnd['outcome']): JobState => {
    if (job.unwanted) return 'cancelled';
    return outcome === 'finished' && refuses ? 'failed' : outcome;
  };

  return {
    submit(queue, jobs) {
      return jobs.map((said) => {
        const id = `job-${all.size + 1}`;
        const fresh = {
          try: 1,
          state: 'waiting',
          worker: '',
          attempt: 0,
          progress: 0,
          unwanted: false,
        } as const;
        all.set(id, {
          id,
          queue,
          said,
          ...fresh,
          reason: '',
          files: [],
          heardMs: clock.monotonicMs(),
          beats: 0,
        });
        return id;
      });
    },
    cancel(id) {
      const job = all.get(id);
      if (job === undefined || isFinal(job)) return;
      if (job.state === 'waiting') job.state = 'cancelled';
      else job.unwanted = true;
    },
    job: (id) => all.get(id),
    jobs: () => [...all.values()],
    take(queue, max, worker) {
      reclaim();
      const priority = ({ said }: QueuedJob): number =>
        typeof said['priority'] === 'number' ? said['priority'] : 0;
      const waiting = inQueue(queue).filter(({ state }) => state === 'waiting');
      const taken = waiting.toSorted((one, other) => priority(other) - priority(one)).slice(0, max);
      for (const job of taken) {
        job.state = 'taken';
        job.worker = worker;
        heard(job);
      }
      return { jobs: taken.map(shown) };
    },
    held(queue, worker) {
      reclaim();
      const own = inQueue(queue).filter((job) => job.worker === worker && !isFinal(job));
      const held = own.filter(({ state, unwanted }) => state === 'taken' && !unwanted);
      for (const job of own) if (job.state === 'taken') heard(job);
      return {
        waiting: inQueue(queue).filter(({ state }) => state === 'waiting').length,
        held: held.slice(0, MAX_HELD).map(shown),
        unwanted: own.filter(({ unwanted }) => unwanted).map(({ id, try: number }) => ({ id, try: number })),
      };
    },
    beat(beats) {
      reclaim();
      const answers = beats.map(({ id, try: number, attempt, progress, waiting }) => {
        const job = found({ id, try: number });
        if (job === undefined || isFinal(job) || job.state === 'waiting')
          return { id, try: number, state: 'over' };
        heard(job);
        if (attempt >= job.attempt) {
          // An attempt that was given back does not run again.
          const isOld = attempt === job.attempt && job.state === 'taken' && job.attempt > 0 && !waiting;
          if (!isOld) Object.assign(job, { attempt, progress, state: waiting ? 'taken' : 'running' });
        }
        job.beats++;
        return { id, try: number, state: job.unwanted ? 'unwanted' : job.state };
      });
      return { heard: answers };
    },
    end({ id, try: number, attempt, outcome, reason = '', files = [] }) {
      reclaim();
      const job = all.get(id);
      if (job === undefined || job.state === 'waiting' || job.try !== number)
        return { id, try: number, state: 'failed', attempt, answer: 'refused' };
      if (!isFinal(job)) {
        Object.assign(job, {
          state: outcomeOf(job, outcome),
          attempt,
          reason,
          files: outcome === 'finished' ? files : [],
        });
        heard(job);
      }
      return ended(job, job.state === outcome && job.attempt === attempt ? 'ok' : 'refused');
    },
    refuseResults(next) {
      refuses = next;
    },
    grace() {
      for (const job of all.values()) heard(job);
    },
  };
}
