import type { AgentRow } from '../core/state.ts';

/** What operators ask of a ledger; never on the hot path. */
export interface LedgerKeeping {
  /** Agents in the order of their ids, from the one after `after`; at most `limit`. */
  agents(after: string, limit: number): Promise<AgentPage>;
}

export interface AgentPage {
  readonly agents: readonly AgentRow[];
  /** The ledger's own time, by which their cool-downs end. */
  readonly nowMs: number;
}
