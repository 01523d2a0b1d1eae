import { attemptOf, bounded, voidAttempt, withAttempt } from './attempt.ts';
import { attemptRecord, isFinal } from './audit.ts';
import type { Command } from './command.ts';
import { clearQuickFailures, countQuickFailure } from './cool-down.ts';
import { decision, UNCHANGED } from './decision.ts';
import { type Holder, resolves } from './holder.ts';
import type { Decision, Rows } from './rows.ts';
import type { AuditRecord, Outcome } from './command.ts';
import type { Attempt, JobRow } from './state.ts';
import { judge } from './verdict.ts';

type Verified = Extract<Command, { kind: 'verified' }>;
type Abort = Extract<Command, { kind: 'abort' }>;
type Finalised = Extract<Command, { kind: 'finalised' }>;
type Discarded = Extract<Command, { kind: 'discarded' }>;
type Told = Extract<Command, { kind: 'told' }>;

/** Step 3: from `committing(k)` on no other attempt can commit, and cancel loses. */
export function decideVerified(rows: Rows, command: Verified, nowMs: number): Decision {
  const attempt = attemptIn(rows, command.attempt, 'reported');
  if (rows.job === undefined || attempt === undefined) return UNCHANGED;
  const judgement = judge(attempt, command.result);
  if (judgement.kind === 'refuse') {
    const agent = rows.agent && countQuickFailure(rows.agent, command.limits, nowMs);
    return lose(rows, attempt, judgement.reason, { agent, owner: rows.owner }, nowMs);
  }
  const found: Attempt = { ...attempt, state: 'committing', manifest: judgement.manifest };
  const job = withAttempt({ ...rows.job, state: 'committing' }, found);
  const audit = [attemptRecord('verdict', job.id, attempt, 'committing')];
  return decision(rows, { ...rows, job }, { kind: 'changed', job, verdict: null }, audit);
}

/** Asks the storage for its durable `discarded(k)`; until that comes, `finalised(k)` still wins. */
export function decideAbort(rows: Rows, command: Abort): Decision {
  const attempt = attemptIn(rows, command.attempt, 'committing');
  if (rows.job === undefined || attempt === undefined || attempt.discard) return UNCHANGED;
  const reason = bounded(command.reason);
  const job = withAttempt(rows.job, { ...attempt, discard: true, reason });
  const audit = [attemptRecord('verdict', job.id, attempt, `aborting: ${reason}`)];
  return decision(rows, { ...rows, job }, { kind: 'changed', job, verdict: null }, audit);
}

/** Step 5: the one moment a result becomes the job's result. */
export function decideFinalised(rows: Rows, command: Finalised, nowMs: number): Decision {
  const attempt = attemptIn(rows, command.attempt, 'committing');
  if (rows.job === undefined || attempt === undefined) return UNCHANGED;
  const committed: Attempt = { ...attempt, state: 'committed', discard: false, reason: '' };
  const job: JobRow = withAttempt({ ...rows.job, state: 'committed', finishedMs: nowMs }, committed);
  const agent = rows.agent && clearQuickFailures(rows.agent);
  const told = { verdict: 'committed', reason: '' } as const;
  const holder = resolves({ agent, owner: rows.owner }, refOf(job, attempt), told);
  const audit = [attemptRecord('commit', job.id, attempt, '')];
  return decision(rows, { job, ...holder }, changedFor(job, attempt, told), audit);
}

/** The storage will never finalise attempt k: clean-up is over, or an abort is. */
export function decideDiscarded(rows: Rows, command: Discarded, nowMs: number): Decision {
  const attempt = rows.job && attemptOf(rows.job, command.attempt);
  if (rows.job === undefined || attempt === undefined) return UNCHANGED;
  if (attempt.state === 'committing') return abandon(rows, attempt, nowMs);
  if (attempt.state !== 'void' || !attempt.discard) return UNCHANGED;
  const job = withAttempt(rows.job, { ...attempt, discard: false });
  return decision(rows, { ...rows, job }, { kind: 'changed', job, verdict: null }, []);
}

function abandon(rows: Rows, attempt: Attempt, nowMs: number): Decision {
  const reason = attempt.reason === '' ? 'storage gave the result up' : attempt.reason;
  const lost = lose(rows, attempt, reason, rows, nowMs);
  const [job] = lost.rows.jobs;
  if (job === undefined || lost.outcome.kind !== 'changed') return lost;
  const clean = withAttempt(job, { ...attempt, state: 'void', reason, discard: false });
  return { ...lost, rows: { ...lost.rows, jobs: [clean] }, outcome: { ...lost.outcome, job: clean } };
}

/** Ends a reported attempt that did not become the result, and tells its agent why. */
function lose(rows: Rows, attempt: Attempt, reason: string, holder: Holder, nowMs: number): Decision {
  if (rows.job === undefined) return UNCHANGED;
  const job = voidAttempt(rows.job, attempt, reason, 'machine', nowMs);
  const told = { verdict: 'refused', reason: bounded(reason) } as const;
  const after = resolves(holder, refOf(job, attempt), told);
  const audit: AuditRecord[] = [attemptRecord('verdict', job.id, attempt, `refused: ${told.reason}`)];
  return decision(rows, { job, ...after }, changedFor(job, attempt, told), audit);
}

/** Step 6, and the acknowledgement of every other end (I5). */
export function decideTold(rows: Rows, command: Told): Decision {
  const { job } = rows;
  if (job === undefined || job.told) return UNCHANGED;
  if (job.state !== 'committed' && !isFinal(job.state)) return UNCHANGED;
  const after = acknowledged(job, command);
  return decision(rows, { ...rows, job: after }, { kind: 'told', job: after }, []);
}

function acknowledged(job: JobRow, command: Told): JobRow {
  if (job.state !== 'committed') return { ...job, told: true };
  return command.answer === 'ok'
    ? { ...job, state: 'told', told: true, events: command.events }
    : { ...job, state: 'refused-by-framework', told: true, reason: bounded(command.reason) };
}

function attemptIn(rows: Rows, number: number, state: Attempt['state']): Attempt | undefined {
  const attempt = rows.job && attemptOf(rows.job, number);
  return attempt?.state === state ? attempt : undefined;
}

function refOf(job: JobRow, attempt: Attempt): { readonly job: string; readonly attempt: number } {
  return { job: job.id, attempt: attempt.number };
}

function changedFor(
  job: JobRow,
  attempt: Attempt,
  told: { readonly verdict: 'committed' | 'refused'; readonly reason: string },
): Outcome {
  return { kind: 'changed', job, verdict: { ...refOf(job, attempt), ...told, agent: attempt.agent } };
}
