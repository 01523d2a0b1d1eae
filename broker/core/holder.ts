import type { Seen } from './command.ts';
import type { AgentRow, OwnerRow, PendingVerdict, Verdict } from './state.ts';

/** The rows of whoever holds an attempt, as far as they exist. */
export interface Holder {
  readonly agent?: AgentRow | undefined;
  readonly owner?: OwnerRow | undefined;
}

/** The agent holds a new live attempt. */
export function takes(holder: Holder, ref: Seen): Holder {
  const { agent, owner } = holder;
  return {
    agent: agent && { ...agent, held: [...agent.held, { job: ref.job, attempt: ref.attempt, live: true }] },
    owner: owner && { ...owner, live: owner.live + 1 },
  };
}

/** The agent counts among those of its owner from now on. */
export function takesPlace({ agent, owner }: { readonly agent: AgentRow; readonly owner: OwnerRow }) {
  if (agent.place) return { agent, owner };
  return { agent: { ...agent, place: true }, owner: { ...owner, agents: owner.agents + 1 } };
}

/** It counts there no more. */
export function leavesPlace({
  agent,
  owner,
}: {
  readonly agent: AgentRow;
  readonly owner: OwnerRow | undefined;
}) {
  if (!agent.place) return { agent, owner };
  return { agent: { ...agent, place: false }, owner: owner && { ...owner, agents: owner.agents - 1 } };
}

/** The attempt is reported: no longer live, held until it is resolved. */
export function reports(holder: Holder, ref: Seen): Holder {
  const { agent } = holder;
  return {
    agent: agent && {
      ...agent,
      held: agent.held.map((entry) => (isSame(entry, ref) ? { ...entry, live: false } : entry)),
    },
    owner: ownerWithout(holder, ref),
  };
}

/** The attempt is over for the agent; it hears `verdict` with its next answers until it names it as seen. */
export function resolves(
  holder: Holder,
  ref: Seen,
  told?: { readonly verdict: Verdict; readonly reason: string },
): Holder {
  const { agent } = holder;
  if (agent === undefined) return holder;
  const verdicts =
    told === undefined ? agent.verdicts : withVerdict(agent.verdicts, { ...pick(ref), ...told });
  return {
    agent: { ...agent, held: agent.held.filter((entry) => !isSame(entry, ref)), verdicts },
    owner: ownerWithout(holder, ref),
  };
}

/** The agent without the verdicts it has seen; the very row where it named none of them. */
export function withoutSeen(agent: AgentRow, seen: readonly Seen[]): AgentRow {
  const left = agent.verdicts.filter((verdict) => !seen.some((entry) => isSame(entry, verdict)));
  return left.length === agent.verdicts.length ? agent : { ...agent, verdicts: left };
}

export function liveHeld(agent: AgentRow): number {
  return agent.held.filter((entry) => entry.live).length;
}

function ownerWithout({ agent, owner }: Holder, ref: Seen): OwnerRow | undefined {
  const wasLive = agent?.held.some((entry) => isSame(entry, ref) && entry.live) === true;
  return owner !== undefined && wasLive ? { ...owner, live: owner.live - 1 } : owner;
}

function withVerdict(
  verdicts: readonly PendingVerdict[],
  verdict: PendingVerdict,
): readonly PendingVerdict[] {
  return [...verdicts.filter((entry) => !isSame(entry, verdict)), verdict];
}

function pick({ job, attempt }: Seen): Seen {
  return { job, attempt };
}

function isSame(one: Seen, other: Seen): boolean {
  return one.attempt === other.attempt && one.job === other.job;
}
