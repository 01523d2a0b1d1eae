import type { JobDetail } from '../adapters/jobs/local/queued-job.ts';
import type { Attempt } from '../broker/core/state.ts';

/** What is kept of the output of one attempt: its end. */
export interface AttemptLog {
  readonly attempt: number;
  /** Empty where only the queue remembers the attempt. */
  readonly agent: string;
  readonly state: Attempt['state'];
  readonly reason: string;
  readonly logTail: string;
}

/**
 * The attempts of a job with their output, oldest first. The broker knows the live ones and keeps more of each; the queue keeps those
 * that failed longer.
 */
export function attemptLogs(
  { failures }: Pick<JobDetail, 'failures'>,
  attempts: readonly Attempt[],
): readonly AttemptLog[] {
  const logs = new Map<number, AttemptLog>(
    failures.map(({ attempt, reason, logTail }) => [
      attempt,
      { attempt, agent: '', state: 'void', reason, logTail },
    ]),
  );
  for (const { number, agent, state, reason, logTail } of attempts) {
    const known = logs.get(number);
    logs.set(number, {
      attempt: number,
      agent,
      state,
      reason: reason === '' ? (known?.reason ?? '') : reason,
      logTail: logTail === '' ? (known?.logTail ?? '') : logTail,
    });
  }
  return [...logs.values()].sort((one, other) => one.attempt - other.attempt);
}

/** What a tail has that an earlier one had not: the text after the longest end of the earlier one that the later begins with. */
export function newText(earlier: string, later: string): string {
  for (let from = Math.max(0, earlier.length - later.length); from < earlier.length; from++)
    if (later.startsWith(earlier.slice(from))) return later.slice(earlier.length - from);
  return later;
}
