import type { BrokerProgramConfiguration } from '../../../broker/program-configuration.ts';
import type { Stage } from '../stage.ts';
import type { RawTransport } from './raw-transport.ts';

/** A bus server set up as an operator's is, for one installation of the bench. */
export interface BenchServer {
  readonly pid: number;
  readonly url: string;
  /** Where adapters come. */
  readonly serviceUrl: string;
  /** What the broker is told of it. */
  readonly broker: Pick<BrokerProgramConfiguration, 'buses' | 'busPort'>;
  readonly raw: RawTransport;
  /** Makes room for agents that never asked for it. */
  admit(agents: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export interface BenchServerOptions {
  readonly directory: string;
  readonly stage: Stage;
  /** Clients that it has room for. */
  readonly clients: number;
  /** Whether one client may send no faster than an operator's server lets it; it may where it is left out. */
  readonly keepsRates?: boolean;
}

export type StartBenchServer = (options: BenchServerOptions) => Promise<BenchServer>;
