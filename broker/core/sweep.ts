import { liveAttempt, voidAttempt } from './attempt.ts';
import { attemptRecord } from './audit.ts';
import { decision, UNCHANGED } from './decision.ts';
import { resolves } from './holder.ts';
import type { Decision, Rows } from './rows.ts';
import type { Attempt, JobRow } from './state.ts';

/** Voids the live attempt once its deadline is past. */
export function decideExpire(rows: Rows, nowMs: number): Decision {
  const attempt = rows.job && liveAttempt(rows.job);
  if (rows.job === undefined || attempt === undefined || nowMs <= attempt.deadlineMs) return UNCHANGED;
  const reason = attempt.renewed ? 'lease ran out' : 'not renewed in time after the lease began';
  const job = voidAttempt(rows.job, attempt, reason, 'machine', nowMs);
  const holder = resolves(rows, { job: job.id, attempt: attempt.number });
  const audit = [attemptRecord('void', job.id, attempt, reason)];
  return decision(rows, { job, ...holder }, { kind: 'changed', job, verdict: null }, audit);
}

/** After an outage of the broker: nobody could renew, so every live attempt gets a whole lease from now. */
export function decideGrace(rows: Rows, nowMs: number): Decision {
  if (rows.job === undefined || liveAttempt(rows.job) === undefined) return UNCHANGED;
  const attempts = rows.job.attempts.map((attempt): Attempt => {
    return attempt.state === 'live' ? { ...attempt, deadlineMs: nowMs + attempt.leaseMs } : attempt;
  });
  const job: JobRow = { ...rows.job, attempts };
  return decision(rows, { ...rows, job }, { kind: 'changed', job, verdict: null }, []);
}
