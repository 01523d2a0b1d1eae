import type { Suite } from '../case.ts';
import { agentCases } from './cases.ts';
import type { Stage } from './stage.ts';

export interface AgentSuiteOptions {
  /** Starts the agent; its words may have placeholders. */
  readonly command: string;
  /** Capabilities it lacks though it may have them. */
  readonly without: readonly string[];
  /** Every deadline is multiplied by it. */
  readonly patience: number;
}

/** The cases for agents, each lent an installation of the suite's own with an agent in it. */
export function openAgentSuite(_options: AgentSuiteOptions): Suite<Stage> {
  return {
    kind: 'agent',
    cases: agentCases,
    lacks: () => undefined,
    lend: () => Promise.reject(new Error('not built')),
    close: () => Promise.resolve(),
  };
}
