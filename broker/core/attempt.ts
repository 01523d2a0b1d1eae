import type { Attempt, JobRow } from './state.ts';
import { MAX_KEPT_ATTEMPTS, MAX_REASON } from './state.ts';

export function attemptOf(job: JobRow, number: number): Attempt | undefined {
  return job.attempts.find((attempt) => attempt.number === number);
}

export function liveAttempt(job: JobRow): Attempt | undefined {
  return job.attempts.find((attempt) => attempt.state === 'live');
}

/** The attempt `number` if `agent` holds it live and in time (I2); after the deadline it is void whether swept or not. */
export function heldAttempt(job: JobRow, agent: string, number: number, nowMs: number): Attempt | undefined {
  const attempt = attemptOf(job, number);
  const holds = attempt?.state === 'live' && attempt.agent === agent && nowMs <= attempt.deadlineMs;
  return holds ? attempt : undefined;
}

/** The job with one attempt replaced, found by its number. */
export function withAttempt(job: JobRow, changed: Attempt): JobRow {
  return {
    ...job,
    attempts: job.attempts.map((attempt) => (attempt.number === changed.number ? changed : attempt)),
  };
}

/** Who answers for the end of an attempt: the payload (`retries`), the machine (`maxLost`), or nobody. */
export type Blame = 'payload' | 'machine' | 'nobody';

/** Ends an attempt; the job is available again, or ended where it was cancelled or has used up its tries (I4). */
export function voidAttempt(
  job: JobRow,
  attempt: Attempt,
  reason: string,
  blame: Blame,
  nowMs: number,
): JobRow {
  const ended = withAttempt(job, { ...attempt, state: 'void', reason: bounded(reason), discard: true });
  const counted = {
    ...ended,
    failures: job.failures + (blame === 'payload' ? 1 : 0),
    losses: job.losses + (blame === 'machine' ? 1 : 0),
  };
  if (job.cancelRequested) return end(counted, 'cancelled', job.reason, nowMs);
  if (counted.failures > job.retries) return end(counted, 'failed', reason, nowMs);
  if (counted.losses > job.maxLost)
    return end(counted, 'failed', `lost ${counted.losses} times, last: ${reason}`, nowMs);
  return { ...counted, state: 'queued' };
}

/** Ends the job without a result. */
export function end(job: JobRow, state: 'failed' | 'cancelled', reason: string, nowMs: number): JobRow {
  return { ...job, state, reason: bounded(reason), finishedMs: nowMs };
}

/** Adds a new attempt. Void ones lose what only their own time needed, so that a row stays small however often a job is lost. */
export function addAttempt(job: JobRow, attempt: Attempt): JobRow {
  const kept = makeRoom(job.attempts).map(trimmed);
  return { ...job, lastAttempt: attempt.number, attempts: [...kept, attempt] };
}

function makeRoom(attempts: readonly Attempt[]): readonly Attempt[] {
  if (attempts.length < MAX_KEPT_ATTEMPTS) return attempts;
  const dropped =
    attempts.find((attempt) => attempt.state === 'void' && !attempt.discard) ??
    attempts.find((attempt) => attempt.state === 'void');
  return attempts.filter((attempt) => attempt !== dropped);
}

function trimmed(attempt: Attempt): Attempt {
  return attempt.state === 'void' ? { ...attempt, manifest: [], logTail: '' } : attempt;
}

/** A reason fit to keep and show: one line, at most `MAX_REASON` characters. */
export function bounded(reason: string): string {
  return reason.slice(0, MAX_REASON).replaceAll(/\p{Cc}/gu, ' ');
}
