import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { AdapterConfiguration } from '../../adapter-configuration.ts';
import type { AnswerAsk } from '../../adapter-program.ts';
import type { BridgeAccess } from './bridge-access.ts';
import type { CredentialFiles, CredentialPaths } from './credential-files.ts';
import type { FrameworkHttp } from './framework-http.ts';

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

/** What a framework is asked with, who its adapter is there. */
export interface FrameworkInquiry {
  /** The adapter's service name. */
  readonly name: string;
  readonly settings: FrameworkSettings;
  /** To `settings.url`, with the adapter's credential; an answer comes within seconds or is none. */
  readonly http: FrameworkHttp;
  /** The same to another address of the framework. */
  readonly openHttp: (url: string) => Promise<FrameworkHttp>;
  /** For what is not HTTP. */
  readonly credential: CredentialFiles;
  readonly clock: Clock;
  readonly log: Log;
}

export interface FrameworkKind {
  readonly startAdapter: (options: FrameworkProgramOptions) => Promise<FrameworkProgram>;
  /**
   * For `co-pilot doctor`: looks at the options, and asks who we are by calls that take, change and tell nothing. Resolves with a few words
   * that go on after the framework's name; rejects with `INVALID_CONFIGURATION` for an option, `NOT_AUTHORIZED` where we are nobody, else
   * as the call does. Where it is left out, the server is reached and no more.
   */
  readonly introduce?: (inquiry: FrameworkInquiry) => Promise<string>;
}
