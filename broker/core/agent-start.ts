import { standing } from './admission.ts';
import { liveAttempt, voidAttempt } from './attempt.ts';
import { agentRecord, attemptRecord, finalRecord } from './audit.ts';
import type { AuditRecord, Command, Seen } from './command.ts';
import { decision, refuse, without } from './decision.ts';
import { type Holder, leavesPlace, resolves, takesPlace } from './holder.ts';
import type { Decision, Rows } from './rows.ts';
import { type AgentRow, type JobRow, MAX_SUPERSEDED, type OwnerRow } from './state.ts';

type Hello = Extract<Command, { kind: 'hello' }>;
type Revoke = Extract<Command, { kind: 'revoke' }>;
type Ban = Extract<Command, { kind: 'ban' }>;

/** A superseded start that comes back more often than this within `FLIP_WINDOW_MS` means a cloned key. */
export const MAX_FLIPS = 3;
const FLIP_WINDOW_MS = 3_600_000;

/** An agent is there: first start, same start, new start, or one that was superseded and comes back. */
export function decideHello(rows: Rows, command: Hello, nowMs: number): Decision {
  const { agent } = rows;
  const owner = rows.owner ?? newOwner(command.owner);
  const refusal = agent === undefined ? undefined : standing(rows);
  if (refusal !== undefined) return refuse(refusal);
  if (owner.banned) return refuse('BANNED');
  if (agent === undefined) return welcome(rows, takesPlace({ agent: newAgent(command), owner }));
  if (agent.owner !== command.owner) return refuse('OTHER_OWNER');
  // Whoever comes with an identity was given one: it counts, be there room or not.
  const here = takesPlace({ agent: describedBy(agent, command), owner });
  if (agent.start === command.start) return welcome(rows, here);
  const started = { ...here, agent: superseding(here.agent, command.start, nowMs) };
  if (!agent.superseded.some((entry) => entry.start === command.start)) return welcome(rows, started);
  return comesBack(rows, started, nowMs);
}

/** One step back is a restored snapshot, whose unreported attempts nobody runs any more; many are two holders of one key. */
function comesBack(rows: Rows, holder: Holder & { readonly agent: AgentRow }, nowMs: number): Decision {
  const recent = holder.agent.flipsMs.filter((atMs) => nowMs - atMs < FLIP_WINDOW_MS);
  const agent: AgentRow = { ...holder.agent, flipsMs: [...recent, nowMs] };
  if (agent.flipsMs.length > MAX_FLIPS) return quarantine(rows, { ...holder, agent });
  const reason = 'the agent went back to an earlier start';
  const ended = endLive(rows, { ...holder, agent }, reason, nowMs);
  return welcome(rows, ended.holder, ended, ended.audit);
}

/** Its leases run out by themselves: nothing it asks is answered any more. */
function quarantine(rows: Rows, holder: Holder & { readonly agent: AgentRow }): Decision {
  const agent: AgentRow = { ...holder.agent, status: 'quarantined' };
  const audit = [agentRecord('quarantine', agent.id, `${agent.flipsMs.length} flips in an hour`)];
  return decision(
    rows,
    { ...holder, agent },
    { kind: 'refused', code: 'QUARANTINED', retryAfterMs: 0 },
    audit,
  );
}

/** Ends every live attempt of the agent; what it has reported goes its way. */
export function decideRevoke(rows: Rows, command: Revoke, nowMs: number): Decision {
  const agent = rows.agent ?? unknownAgent(command.agent);
  if (agent.status === 'revoked') return without({ kind: 'revoked', agent, jobs: [] });
  const left = leavesPlace({ agent, owner: rows.owner });
  const holder = { ...left, agent: { ...left.agent, status: 'revoked' as const } };
  const ended = endLive(rows, holder, `agent revoked: ${command.reason}`, nowMs);
  const after = ended.holder.agent ?? holder.agent;
  const audit = [agentRecord('revocation', agent.id, command.reason), ...ended.audit];
  return several(rows, ended.holder, ended.jobs, { kind: 'revoked', agent: after, jobs: ended.jobs }, audit);
}

/** A banned owner's agents are refused everything; their leases run out. */
export function decideBan(rows: Rows, command: Ban): Decision {
  const before = rows.owner ?? newOwner(command.owner);
  const owner = before.banned === command.banned ? before : { ...before, banned: command.banned };
  const audit: AuditRecord[] =
    owner === before ? [] : [agentRecord('revocation', '', `owner ${owner.id} banned: ${owner.banned}`)];
  return decision(rows, { owner }, { kind: 'owner', owner }, audit);
}

interface Ended {
  readonly holder: Holder;
  readonly jobs: readonly JobRow[];
  readonly voided: readonly Seen[];
  readonly audit: readonly AuditRecord[];
}

function endLive(rows: Rows, holder: Holder, reason: string, nowMs: number): Ended {
  let ended: Ended = { holder, jobs: [], voided: [], audit: [] };
  for (const before of rows.held ?? []) {
    const attempt = liveAttempt(before);
    if (attempt === undefined || attempt.agent !== holder.agent?.id) continue;
    const job = voidAttempt(before, attempt, reason, 'machine', nowMs);
    const ref = { job: job.id, attempt: attempt.number };
    ended = {
      holder: resolves(ended.holder, ref),
      jobs: [...ended.jobs, job],
      voided: [...ended.voided, ref],
      audit: [...ended.audit, attemptRecord('void', job.id, attempt, reason), ...finalRecord(before, job)],
    };
  }
  return ended;
}

function welcome(
  rows: Rows,
  holder: Holder,
  ended: Pick<Ended, 'jobs' | 'voided'> = { jobs: [], voided: [] },
  audit: readonly AuditRecord[] = [],
): Decision {
  if (holder.agent === undefined) return refuse('NOT_FOUND');
  const { jobs, voided } = ended;
  return several(rows, holder, jobs, { kind: 'welcome', agent: holder.agent, voided, jobs }, audit);
}

function several(
  rows: Rows,
  holder: Holder,
  jobs: readonly JobRow[],
  outcome: Decision['outcome'],
  audit: readonly AuditRecord[],
): Decision {
  const single = decision(rows, holder, outcome, audit);
  return { ...single, rows: { ...single.rows, jobs } };
}

function superseding(agent: AgentRow, start: string, nowMs: number): AgentRow {
  const others = agent.superseded.filter((entry) => entry.start !== start);
  const superseded = [{ start: agent.start, atMs: nowMs }, ...others].slice(0, MAX_SUPERSEDED);
  return { ...agent, start, superseded };
}

/** As its identity has it now. */
export function describedBy(agent: AgentRow, { site, tier }: Pick<Hello, 'site' | 'tier'>): AgentRow {
  return agent.site === site && agent.tier === tier ? agent : { ...agent, site, tier };
}

function newAgent(command: Hello): AgentRow {
  const { agent: id, owner, site, tier, start } = command;
  return { ...unknownAgent(id), owner, site, tier, start, status: 'active' };
}

/** A key that may be revoked before it was ever seen. */
export function unknownAgent(id: string): AgentRow {
  return {
    id,
    owner: '',
    site: '',
    tier: 'untrusted',
    status: 'active',
    place: false,
    start: '',
    superseded: [],
    flipsMs: [],
    slots: {},
    held: [],
    verdicts: [],
    quickFailures: 0,
    coolUntilMs: 0,
  };
}

export function newOwner(id: string): OwnerRow {
  return { id, banned: false, live: 0, agents: 0 };
}
