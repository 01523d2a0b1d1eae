import { admitCounted, answered } from './admission.ts';
import { attemptOf, heldAttempt, voidAttempt, withAttempt } from './attempt.ts';
import { attemptRecord } from './audit.ts';
import type { Command } from './command.ts';
import { countQuickFailure } from './cool-down.ts';
import { decision, refuse, without } from './decision.ts';
import { type Holder, reports, resolves, withoutSeen } from './holder.ts';
import { decideVerified } from './commit.ts';
import type { Decision, Rows } from './rows.ts';
import {
  type AgentRow,
  type Attempt,
  type Exit,
  type JobRow,
  MAX_LOG_TAIL,
  type SlotReply,
} from './state.ts';

type Report = Extract<Command, { kind: 'report' }>;

/** Step 1 of the commit: the lease stops; a payload that failed ends the attempt at once. */
export function decideReport(rows: Rows, command: Report, nowMs: number): Decision {
  const admission = admitCounted(rows, command);
  if (admission.kind === 'answer') return admission.decision;
  if (rows.job === undefined) return refuse('ATTEMPT_NOT_LIVE');
  if (wasReported(rows.job, command))
    return without({ kind: 'reported', job: rows.job, agent: admission.agent });
  const live = heldAttempt(rows.job, command.agent, command.attempt, nowMs);
  if (live === undefined) return refuse('ATTEMPT_NOT_LIVE');
  const attempt = withReport(live, command);
  const reply: SlotReply = { kind: 'reported', job: command.job, attempt: command.attempt, next: null };
  const agent = answered(withoutSeen(admission.agent, command.seen), command, reply);
  const reported = withAttempt(rows.job, attempt);
  return isSuccess(command.exit)
    ? judged(rows, succeeded(rows, reported, attempt, agent), command, nowMs)
    : payloadFailed(rows, reported, attempt, agent, command, nowMs);
}

function succeeded(rows: Rows, job: JobRow, attempt: Attempt, agent: AgentRow): Decision {
  const after = withAttempt({ ...job, state: 'reported' }, { ...attempt, state: 'reported' });
  const holder = reports({ agent, owner: rows.owner }, { job: job.id, attempt: attempt.number });
  return reported(rows, after, attempt, holder, 'exit 0');
}

/** Step 3 in the same decision, where storage has spoken already. */
function judged(rows: Rows, taken: Decision, command: Report, nowMs: number): Decision {
  const { job: id, attempt, verification, limits } = command;
  if (verification === undefined || taken.outcome.kind !== 'reported') return taken;
  const { job, agent } = taken.outcome;
  const between = { ...rows, job, agent, owner: taken.rows.owner ?? rows.owner };
  const verified = { kind: 'verified', job: id, attempt, result: verification, limits } as const;
  const verdict = decideVerified(between, verified, nowMs);
  const after = {
    job: verdict.rows.jobs[0] ?? job,
    agent: verdict.rows.agent ?? agent,
    owner: verdict.rows.owner ?? between.owner,
  };
  const outcome = { kind: 'reported', job: after.job, agent: after.agent } as const;
  return { ...decision(rows, after, outcome, []), audit: [...taken.audit, ...verdict.audit] };
}

function payloadFailed(
  rows: Rows,
  job: JobRow,
  attempt: Attempt,
  agent: AgentRow,
  command: Report,
  nowMs: number,
): Decision {
  const reason = describeExit(command.exit);
  const after = voidAttempt(job, attempt, reason, 'payload', nowMs);
  const isQuick = nowMs - attempt.startedMs < command.limits.quickFailureMs;
  const counted = isQuick ? countQuickFailure(agent, command.limits, nowMs) : agent;
  const ref = { job: job.id, attempt: attempt.number };
  const holder = resolves({ agent: counted, owner: rows.owner }, ref, { verdict: 'refused', reason });
  return reported(rows, after, attempt, holder, reason);
}

function reported(rows: Rows, job: JobRow, attempt: Attempt, holder: Holder, detail: string): Decision {
  const agent = holder.agent ?? rows.agent;
  if (agent === undefined) return refuse('NOT_FOUND');
  return decision(rows, { job, ...holder }, { kind: 'reported', job, agent }, [
    attemptRecord('report', job.id, attempt, attempt.signature),
    ...(job.state === 'reported' ? [] : [attemptRecord('void', job.id, attempt, detail)]),
  ]);
}

function withReport(attempt: Attempt, command: Report): Attempt {
  return {
    ...attempt,
    exit: command.exit,
    manifest: command.manifest,
    usage: command.usage,
    logTail: command.logTail.slice(-MAX_LOG_TAIL),
    signature: command.signature,
  };
}

/** The same attempt was reported before by the same agent, whatever became of it: answer as then, change nothing (I3). */
function wasReported(job: JobRow, command: Report): boolean {
  const attempt = attemptOf(job, command.attempt);
  return attempt?.agent === command.agent && attempt.exit !== null;
}

function isSuccess(exit: Exit): boolean {
  return exit.kind === 'exited' && exit.code === 0;
}

function describeExit(exit: Exit): string {
  switch (exit.kind) {
    case 'exited':
      return `payload exited with code ${exit.code}`;
    case 'signalled':
      return `payload ended by signal ${exit.signal}`;
    case 'limit':
      return `payload went over its ${exit.limit} limit`;
    case 'failed':
      return `payload could not run: ${exit.reason}`;
  }
}
