import { isFinal } from './audit.ts';
import type { Duty } from './command.ts';
import type { Attempt, JobRow } from './state.ts';

/** What is to be done for a job once its row is durable. Derived from the row alone: a restart finds the same duties. */
export function duties(job: JobRow): readonly Duty[] {
  const ofAttempts = job.attempts.flatMap((attempt) => dutyOf(attempt) ?? []);
  const isEnded = job.state === 'committed' || isFinal(job.state);
  return isEnded && !job.told ? [...ofAttempts, { kind: 'tell' }] : ofAttempts;
}

function dutyOf(attempt: Attempt): Duty | undefined {
  if (attempt.discard) return { kind: 'discard', attempt: attempt.number };
  if (attempt.state === 'reported') return { kind: 'verify', attempt: attempt.number };
  if (attempt.state === 'committing') return { kind: 'finalise', attempt: attempt.number };
  return undefined;
}
