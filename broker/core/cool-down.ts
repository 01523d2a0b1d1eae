import type { Limits } from './command.ts';
import type { AgentRow } from './state.ts';

/** Counts a failure that came fast, or a result that was not what was reported; past the allowance the agent gets no work for a while. */
export function countQuickFailure(agent: AgentRow, limits: Limits, nowMs: number): AgentRow {
  const quickFailures = agent.quickFailures + 1;
  const over = quickFailures - limits.quickFailuresAllowed;
  if (over <= 0) return { ...agent, quickFailures };
  const coolMs = Math.min(limits.maxCoolDownMs, limits.coolDownMs * 2 ** (over - 1));
  return { ...agent, quickFailures, coolUntilMs: nowMs + coolMs };
}

/** A committed result clears the record; a cool-down that runs already is not cut short. */
export function clearQuickFailures(agent: AgentRow): AgentRow {
  return agent.quickFailures === 0 ? agent : { ...agent, quickFailures: 0 };
}
