/** Where a job of the local queue stands. The last three are final: nothing changes them. */
export type LocalState = 'pending' | 'handed' | 'accepted' | 'running' | 'finished' | 'failed' | 'cancelled';

/** What the queue knows of a job's way; everything that a message of the broker can change. */
export interface JobProgress {
  readonly state: LocalState;
  /** The newest attempt heard of, 0 before the first; of a finished job the one that has the result. */
  readonly attempt: number;
  /** The newest attempt known to have ended without a result; nothing said of it or of older ones restarts the job. */
  readonly ended: number;
  /** Who runs `attempt`; empty while nobody does. */
  readonly agent: string;
  /** Between 0 and 1, of `attempt`. */
  readonly progress: number;
  /** Someone asked for the end of the job while the broker had it. */
  readonly cancelling: boolean;
  /** Why the last attempt ended, or why the job did. */
  readonly reason: string;
}

/** Most characters of a reason that are kept (common.schema.json, text). */
export const MAX_REASON = 512;

/** Most characters of a log tail that are kept (common.schema.json, logTail). */
export const MAX_LOG_TAIL = 2048;

export const newProgress: JobProgress = {
  state: 'pending',
  attempt: 0,
  ended: 0,
  agent: '',
  progress: 0,
  cancelling: false,
  reason: '',
};

export function isFinal(job: JobProgress): boolean {
  return job.state === 'finished' || job.state === 'failed' || job.state === 'cancelled';
}

/** The broker should be told (again) to end this job: it speaks of a job that somebody cancelled. */
export function wantsKill(job: JobProgress): boolean {
  return job.state === 'cancelled' || (job.cancelling && !isFinal(job));
}

/** The broker has the job in its ledger. */
export function accept(job: JobProgress): JobProgress {
  return job.state === 'pending' || job.state === 'handed' ? { ...job, state: 'accepted' } : job;
}

/** Messages are repeated and reordered: an attempt that ended, or that a newer one replaced, never starts again. */
export function start(job: JobProgress, attempt: number, agent: string): JobProgress {
  if (isFinal(job) || isPast(job, attempt)) return job;
  const again = job.state === 'running' && job.attempt === attempt;
  if (again && job.agent === agent) return job;
  return { ...job, state: 'running', attempt, agent, progress: again ? job.progress : 0 };
}

/** Progress of one attempt never goes back, whatever order the news come in. */
export function renew(job: JobProgress, attempt: number, progress: number): JobProgress {
  if (isFinal(job) || isPast(job, attempt)) return job;
  const running = start(job, attempt, job.attempt === attempt ? job.agent : '');
  return { ...running, progress: Math.max(running.progress, Math.min(1, progress)) };
}

/** The attempt ended without a result; the job waits at the broker again. */
export function release(job: JobProgress, attempt: number, reason: string): JobProgress {
  if (isFinal(job)) return job;
  const ended = Math.max(job.ended, attempt);
  if (attempt < job.attempt) return { ...job, ended };
  return {
    ...job,
    state: 'accepted',
    attempt,
    ended,
    agent: '',
    progress: 0,
    reason: reason.slice(0, MAX_REASON),
  };
}

export interface Finish {
  readonly job: JobProgress;
  readonly answer: 'ok' | 'refused';
}

/**
 * The first result stays: the same attempt again is the repeat of a lost answer, any other is refused. Which attempt wins is
 * the broker's decision: replicas run side by side, so it need not be the newest.
 */
export function finish(job: JobProgress, attempt: number): Finish {
  if (job.state === 'finished') return { job, answer: job.attempt === attempt ? 'ok' : 'refused' };
  if (isFinal(job)) return { job, answer: 'refused' };
  const finished: JobProgress = {
    ...job,
    state: 'finished',
    attempt,
    progress: 1,
    reason: '',
    cancelling: false,
  };
  return { job: finished, answer: 'ok' };
}

export function fail(job: JobProgress, outcome: 'failed' | 'cancelled', reason: string): JobProgress {
  if (isFinal(job)) return job;
  return { ...job, state: outcome, agent: '', cancelling: false, reason: reason.slice(0, MAX_REASON) };
}

/**
 * What the broker never acknowledged ends at once; what it holds ends when the broker says so, for a result that is already
 * committing wins over the cancellation.
 */
export function cancel(job: JobProgress): JobProgress {
  if (isFinal(job)) return job;
  if (job.state === 'pending' || job.state === 'handed') {
    return { ...job, state: 'cancelled', reason: 'cancelled before it was accepted' };
  }
  return { ...job, cancelling: true };
}

function isPast(job: JobProgress, attempt: number): boolean {
  return attempt <= job.ended || attempt < job.attempt;
}
