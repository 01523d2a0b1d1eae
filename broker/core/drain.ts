import { standing } from './admission.ts';
import { agentRecord } from './audit.ts';
import type { Command } from './command.ts';
import { decision, refuse, without } from './decision.ts';
import type { Decision, Rows } from './rows.ts';
import type { AgentRow } from './state.ts';

type Drain = Extract<Command, { kind: 'drain' }>;

/**
 * From now on the agent gets no lease, or gets leases again. It is the ledger's, so neither a restart of the agent nor one of the
 * broker ends it. An agent that is out already is refused.
 */
export function decideDrain(rows: Rows, command: Drain): Decision {
  const refusal = standing({ ...rows, owner: undefined });
  const before = rows.agent;
  if (before === undefined || refusal !== undefined) return refuse(refusal ?? 'NOT_FOUND');
  const status: AgentRow['status'] = command.draining ? 'draining' : 'active';
  if (before.status === status) return without({ kind: 'noted', agent: before });
  const agent: AgentRow = { ...before, status };
  const detail = command.draining ? 'drains' : 'drains no longer';
  return decision(rows, { agent }, { kind: 'noted', agent }, [agentRecord('drain', agent.id, detail)]);
}
