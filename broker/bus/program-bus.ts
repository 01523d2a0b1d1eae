import type { Address, Bus } from '../../protocol/bindings/bus.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import type { AgentRow } from '../core/state.ts';
import type { LiveKeys } from '../keys/live-keys.ts';
import type { BrokerProgramConfiguration } from '../program-configuration.ts';
import type { Evict } from '../service/evictions.ts';

/** What a broker program serves: the embedded bus, a server's, or several joined to one. */
export interface ProgramBus {
  /** Its `start` rejects with `INVALID_CONFIGURATION` where it lets agents do what they must not. */
  readonly bus: Bus;
  /** Where agents reach it, the first to try first. */
  agentUrls(): readonly string[];
  /** Where this machine reaches the first one. */
  url(): string;
  /** This instance's own address on it. */
  readonly address: Address;
  /** Names of those that are joined; undefined where it is one alone. */
  readonly doors: readonly string[] | undefined;
  /** On the embedded bus; undefined where that is not served. */
  connectionCount(): number | undefined;
  /** Makes sure that the bus has room for the agent. */
  admit(agent: string): Promise<void>;
  /** Closes connections of an agent; left out where the bus cannot. */
  readonly evict?: Evict;
}

export interface ProgramBusOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerProgramConfiguration;
  readonly keys: Pick<LiveKeys, 'identity' | 'identities'>;
  readonly agent: (id: string) => Promise<AgentRow | undefined>;
}
