import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { AdapterConfiguration } from '../../adapter-configuration.ts';
import type { AnswerAsk } from '../../adapter-program.ts';
import type { BridgeAccess } from './bridge-access.ts';
import type { CredentialPaths } from './credential-files.ts';

export type OptionValue = string | number | boolean | readonly string[] | Readonly<Record<string, string>>;

export interface FrameworkSettings {
  readonly kind: string;
  readonly url: string;
  readonly queues: Readonly<Record<string, string>>;
  readonly credential: CredentialPaths & { readonly caFile?: string };
  readonly attempts: number;
  readonly ceilingFile?: string;
  readonly options: Readonly<Record<string, OptionValue>>;
}

export interface FrameworkConfiguration extends AdapterConfiguration {
  readonly framework: FrameworkSettings;
  readonly bridge?: BridgeAccess;
}

export interface FrameworkProgramOptions {
  readonly directory: string;
  readonly configuration: FrameworkConfiguration;
  readonly log: Log;
  readonly around?: (answer: AnswerAsk) => AnswerAsk;
}

export interface FrameworkProgram {
  readonly metricsUrl: string | undefined;
  stop(): Promise<void>;
}

export interface FrameworkKind {
  readonly startAdapter: (options: FrameworkProgramOptions) => Promise<FrameworkProgram>;
}
