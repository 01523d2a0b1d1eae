export { AGENT_EXIT } from './exit-codes.ts';
export { runAgent, type RunAgentOptions } from './main.ts';
export { createAgent, type Agent, type AgentEnd, type AgentOptions, type AgentPorts } from './loop/agent.ts';
export type { AgentEvent, AttemptEnd, Counts, SlotPhase } from './loop/events.ts';
export type { JobSurroundings } from './loop/context.ts';
export { createMemoryStore, type MemoryStore, type MemoryStoreOptions } from './store/memory.ts';
export type { Collected, Ending, Entry, Journal, KeptLease, Store, Workplace } from './store/store.ts';
export {
  createMemoryLauncher,
  type IsolationMethod,
  type Launcher,
  type LaunchSpec,
  type MemoryLauncher,
  type Running,
  type ScriptedJob,
} from './executors/index.ts';
export { createMemoryTransfers, type MemoryTransfers } from './transfers/memory.ts';
export type { Transfers } from './transfers/transfers.ts';
