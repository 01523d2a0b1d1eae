import { standing } from './admission.ts';
import { describedBy, newOwner, unknownAgent } from './agent-start.ts';
import type { Command } from './command.ts';
import { decision, refuse, UNCHANGED, without } from './decision.ts';
import { leavesPlace, takesPlace } from './holder.ts';
import type { Decision, Rows } from './rows.ts';

type Enrol = Extract<Command, { kind: 'enrol' }>;

/** An identity is about to be given: a new agent takes a place among those of its owner, one that has a place keeps it. */
export function decideEnrol(rows: Rows, command: Enrol): Decision {
  const { agent } = rows;
  const refusal = agent === undefined ? undefined : standing(rows);
  if (refusal !== undefined) return refuse(refusal);
  const owner = rows.owner ?? newOwner(command.owner);
  if (owner.banned) return refuse('BANNED');
  if (agent !== undefined && agent.owner !== command.owner) return refuse('OTHER_OWNER');
  if (agent?.place === true) return without({ kind: 'noted', agent });
  if (owner.agents >= command.agentsPerOwner) return refuse('TOO_MANY_AGENTS');
  const { agent: id, site, tier } = command;
  const described =
    agent === undefined
      ? { ...unknownAgent(id), owner: command.owner, site, tier }
      : describedBy(agent, command);
  const holder = takesPlace({ agent: described, owner });
  return decision(rows, holder, { kind: 'noted', agent: holder.agent }, []);
}

/** No identity of it can be alive any more: its place is free. One that is kept out keeps it, else its key could be copied to make room. */
export function decideLapse(rows: Rows): Decision {
  const { agent, owner } = rows;
  if (agent === undefined || !agent.place || agent.status === 'quarantined') return UNCHANGED;
  const holder = leavesPlace({ agent, owner });
  return decision(rows, holder, { kind: 'noted', agent: holder.agent }, []);
}
