import { bounded, end, voidAttempt } from './attempt.ts';
import { attemptRecord } from './audit.ts';
import type { Command, Outcome } from './command.ts';
import { decision, UNCHANGED } from './decision.ts';
import { resolves } from './holder.ts';
import type { Decision, Rows } from './rows.ts';
import type { Attempt, JobRow } from './state.ts';

type Cancel = Extract<Command, { kind: 'cancel' }>;

/** Ends the job at once where no result is being committed; from `committing` on cancel loses, unless that commit is being aborted. */
export function decideCancel(rows: Rows, command: Cancel, nowMs: number): Decision {
  if (rows.job === undefined) return UNCHANGED;
  const job: JobRow = { ...rows.job, cancelRequested: true, reason: bounded(command.reason) };
  switch (job.state) {
    case 'queued':
      return changed(rows, end(job, 'cancelled', job.reason, nowMs));
    case 'leased':
    case 'reported':
    case 'waiting':
      return cancelAttempt(rows, job, nowMs);
    case 'committing':
      return isAborting(rows.job) && !rows.job.cancelRequested ? changed(rows, job) : UNCHANGED;
    case 'committed':
    case 'told':
    case 'refused-by-framework':
    case 'failed':
    case 'cancelled':
      return UNCHANGED;
  }
}

function cancelAttempt(rows: Rows, requested: JobRow, nowMs: number): Decision {
  const attempt = requested.attempts.find(({ state }) => state !== 'void');
  if (attempt === undefined) return UNCHANGED;
  const reason = `cancelled: ${requested.reason}`;
  const job = voidAttempt(requested, attempt, reason, 'nobody', nowMs);
  const ref = { job: job.id, attempt: attempt.number };
  const told =
    attempt.state === 'live' ? undefined : ({ verdict: 'refused', reason: bounded(reason) } as const);
  const outcome: Outcome = {
    kind: 'changed',
    job,
    verdict: told === undefined ? null : { ...ref, ...told, agent: attempt.agent },
  };
  const audit = [attemptRecord('void', job.id, attempt, reason)];
  return decision(rows, { job, ...resolves(rows, ref, told) }, outcome, audit);
}

function changed(rows: Rows, job: JobRow): Decision {
  return decision(rows, { ...rows, job }, { kind: 'changed', job, verdict: null }, []);
}

function isAborting(job: JobRow): boolean {
  return job.attempts.some((attempt: Attempt) => attempt.state === 'committing' && attempt.discard);
}
