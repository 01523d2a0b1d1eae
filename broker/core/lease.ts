import { admit, admitCounted, answered } from './admission.ts';
import { addAttempt, attemptOf, heldAttempt, voidAttempt, withAttempt } from './attempt.ts';
import { attemptRecord } from './audit.ts';
import type { Command, Limits } from './command.ts';
import { decision, refuse, UNCHANGED, without } from './decision.ts';
import { liveHeld, resolves, takes, withoutSeen } from './holder.ts';
import type { Decision, Rows } from './rows.ts';
import {
  type AgentRow,
  type Attempt,
  type JobRow,
  MAX_LOG_TAIL,
  MAX_VERDICTS,
  type SlotReply,
} from './state.ts';

type Lease = Extract<Command, { kind: 'lease' }>;
type Renew = Extract<Command, { kind: 'renew' }>;
type Release = Extract<Command, { kind: 'release' }>;

/** Attempts of one job that may be given back for draining before the next counts as a loss. */
const FREE_RELEASES = 3;

/** Leases the job the matcher chose to the agent that asks. */
export function decideLease(rows: Rows, command: Lease, nowMs: number): Decision {
  const admission = admitCounted(rows, command, awaitsNext);
  if (admission.kind === 'answer') return admission.decision;
  if (command.afterReport && !isReportTaken(admission.agent, command)) return refuse('ATTEMPT_NOT_LIVE');
  const agent = withoutSeen(admission.agent, command.seen);
  if (agent.status === 'draining') return refuse('DRAINING');
  if (agent.coolUntilMs > nowMs) return refuse('COOLING_DOWN', agent.coolUntilMs - nowMs);
  if (isFull(agent, rows.owner?.live ?? 0, command.limits)) return refuse('TOO_MANY_ATTEMPTS');
  if (command.job === '') return UNCHANGED;
  if (rows.job === undefined) return refuse('NOT_FOUND');
  if (rows.job.state !== 'queued') return refuse('NOT_QUEUED');
  return grantLease(rows, rows.job, agent, command, nowMs);
}

function grantLease(rows: Rows, queued: JobRow, asking: AgentRow, command: Lease, nowMs: number): Decision {
  const attempt = newAttempt(queued, asking, command, nowMs);
  const job: JobRow = { ...addAttempt(queued, attempt), state: 'leased' };
  const ref = { job: job.id, attempt: attempt.number };
  const agent = answered(asking, command, leaseReply(asking, command, ref));
  const holder = takes({ agent, owner: rows.owner }, ref);
  return decision(
    rows,
    { job, ...holder },
    {
      kind: 'leased',
      job,
      attempt: attempt.number,
      agent: holder.agent ?? agent,
      description: rows.description ?? '',
    },
    [attemptRecord('lease', job.id, attempt, `slot ${command.slot}`)],
  );
}

function newAttempt(job: JobRow, agent: AgentRow, command: Lease, nowMs: number): Attempt {
  return {
    number: job.lastAttempt + 1,
    agent: agent.id,
    owner: agent.owner,
    site: agent.site,
    slot: command.slot,
    state: 'live',
    startedMs: nowMs,
    deadlineMs: nowMs + command.terms.firstRenewMs,
    leaseMs: command.terms.leaseMs,
    renewed: false,
    progress: 0,
    usage: null,
    exit: null,
    manifest: [],
    signature: '',
    logTail: '',
    reason: '',
    discard: false,
  };
}

/** Whether the slot's last word is the report of this very message. */
function isReportTaken(agent: AgentRow, { slot, counter }: Lease): boolean {
  const last = agent.slots[String(slot)];
  return last?.counter === counter && last.reply.kind === 'reported';
}

/** A report that was answered without a next job; the same message's request may still bring one. */
function awaitsNext(reply: SlotReply): boolean {
  return reply.kind === 'reported' && reply.next === null;
}

function leaseReply(
  agent: AgentRow,
  { slot, counter }: Lease,
  ref: { readonly job: string; readonly attempt: number },
): SlotReply {
  const last = agent.slots[String(slot)];
  if (last?.counter === counter && last.reply.kind === 'reported') return { ...last.reply, next: ref };
  return { kind: 'leased', ...ref };
}

function isFull(agent: AgentRow, ownerLive: number, limits: Limits): boolean {
  const live = liveHeld(agent);
  return (
    live >= limits.liveAttemptsPerAgent ||
    agent.held.length - live >= limits.unresolvedPerAgent ||
    ownerLive >= limits.liveAttemptsPerOwner ||
    agent.held.length + agent.verdicts.length >= MAX_VERDICTS
  );
}

/** Prolongs the holder's lease; the one refusal says neither whether the job exists nor who holds it. */
export function decideRenew(rows: Rows, command: Renew, nowMs: number): Decision {
  const admission = admit(rows, command.start);
  if (admission.kind === 'answer') return admission.decision;
  if (rows.job === undefined) return refuse('ATTEMPT_NOT_LIVE');
  if (isCancelledUnder(rows.job, command))
    return without({ kind: 'renewed', job: rows.job, leaseMs: 0, order: 'cancel' });
  const attempt = heldAttempt(rows.job, command.agent, command.attempt, nowMs);
  if (attempt === undefined) return refuse('ATTEMPT_NOT_LIVE');
  const job = withAttempt(rows.job, {
    ...attempt,
    renewed: true,
    deadlineMs: nowMs + attempt.leaseMs,
    progress: fraction(command.progress),
    usage: command.usage ?? attempt.usage,
    logTail: command.logTail.slice(-MAX_LOG_TAIL),
  });
  return decision(
    rows,
    { ...rows, job },
    { kind: 'renewed', job, leaseMs: attempt.leaseMs, order: orderFor(admission.agent) },
    [],
  );
}

function orderFor(agent: AgentRow): 'continue' | 'drain' {
  return agent.status === 'draining' ? 'drain' : 'continue';
}

function isCancelledUnder(job: JobRow, { agent, attempt }: Renew): boolean {
  return job.state === 'cancelled' && attemptOf(job, attempt)?.agent === agent;
}

function fraction(progress: number): number {
  return Number.isFinite(progress) ? Math.min(1, Math.max(0, progress)) : 0;
}

/** Gives a live attempt back. Draining is free a few times; otherwise it counts as lost, or a job could go round for ever. */
export function decideRelease(rows: Rows, command: Release, nowMs: number): Decision {
  const admission = admitCounted(rows, command);
  if (admission.kind === 'answer') return admission.decision;
  const attempt = rows.job && heldAttempt(rows.job, command.agent, command.attempt, nowMs);
  if (rows.job === undefined || attempt === undefined) return refuse('ATTEMPT_NOT_LIVE');
  const reason = `released: ${command.reason}`;
  const blame = command.reason === 'drain' && freeReleases(rows.job) < FREE_RELEASES ? 'nobody' : 'machine';
  const job = voidAttempt(rows.job, attempt, reason, blame, nowMs);
  const ref = { job: job.id, attempt: attempt.number };
  const agent = answered(admission.agent, command, { kind: 'released', ...ref });
  const holder = resolves({ agent, owner: rows.owner }, ref);
  return decision(rows, { job, ...holder }, { kind: 'released', job, agent: holder.agent ?? agent }, [
    attemptRecord('void', job.id, attempt, reason),
  ]);
}

/** Earlier attempts that ended without being counted against anything. */
function freeReleases(job: JobRow): number {
  return job.lastAttempt - 1 - job.failures - job.losses;
}
