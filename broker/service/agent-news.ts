import type { AgentRow } from '../core/state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { AgentSessions } from './agent-sessions.ts';

export interface AgentNewsOptions {
  readonly ledger: Pick<Ledger, 'agent'>;
  readonly agents: Pick<AgentSessions, 'dismiss' | 'ids' | 'push'>;
  /** Closes what the agent has on the bus without a session here. */
  readonly evict: (agent: string) => void;
  readonly isStopped: () => boolean;
}

/** What becomes of agents here that another broker changed something about. */
export interface AgentNews {
  /** Its status, or a job that it holds. */
  changed(agent: string): Promise<void>;
  /** News were lost: every agent here is looked at. */
  missed(): Promise<void>;
}

export function createAgentNews({ ledger, agents, evict, isStopped }: AgentNewsOptions): AgentNews {
  /** True where it may stay. */
  function judge({ id, status }: AgentRow): boolean {
    switch (status) {
      case 'revoked':
        agents.dismiss(id, 'REVOKED');
        evict(id);
        return false;
      case 'quarantined':
        agents.dismiss(id, 'QUARANTINED');
        evict(id);
        return false;
      case 'draining':
        agents.push(id, { kind: 'notice', command: 'drain' });
        return true;
      case 'active':
        return true;
    }
  }

  return {
    async changed(agent) {
      const row = await ledger.agent(agent);
      if (row !== undefined && judge(row)) agents.push(agent, { kind: 'notice', command: 'renew-now' });
    },
    async missed() {
      for (const id of agents.ids()) {
        if (isStopped()) return;
        const row = await ledger.agent(id);
        if (row !== undefined) judge(row);
      }
    },
  };
}
