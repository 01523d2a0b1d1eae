import { liveAttempt, voidAttempt } from './attempt.ts';
import { attemptRecord } from './audit.ts';
import type { Command } from './command.ts';
import { countQuickFailure } from './cool-down.ts';
import { decision, UNCHANGED } from './decision.ts';
import { resolves } from './holder.ts';
import type { Decision, Rows } from './rows.ts';
import type { Attempt, JobRow } from './state.ts';

type Expire = Extract<Command, { kind: 'expire' }>;

/** Voids the live attempt once its deadline is past. */
export function decideExpire(rows: Rows, command: Expire, nowMs: number): Decision {
  const attempt = rows.job && liveAttempt(rows.job);
  if (rows.job === undefined || attempt === undefined || nowMs <= attempt.deadlineMs) return UNCHANGED;
  const reason = attempt.renewed ? 'lease ran out' : 'not renewed in time after the lease began';
  const job = voidAttempt(rows.job, attempt, reason, 'machine', nowMs);
  // Who takes jobs and is never heard of again would otherwise use up their tries at the pace of its asking.
  const vanished = !attempt.renewed && rows.agent !== undefined;
  const agent = vanished ? countQuickFailure(rows.agent, command.limits, nowMs) : rows.agent;
  const holder = resolves({ ...rows, agent }, { job: job.id, attempt: attempt.number });
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
