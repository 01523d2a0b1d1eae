import type { Description } from '../../protocol/generated/types.ts';
import type { StoredKey } from '../../protocol/runtime/key-file.ts';

/** What an adapter is told at its start, as a JSON file of these fields. */
export interface AdapterConfiguration {
  readonly installation: string;
  readonly name: string;
  readonly key: StoredKey;
  readonly keyId: number;
  /** Session keys of its brokers, raw, in hex. */
  readonly brokers: readonly string[];
  readonly busUrl: string;
  readonly busSecret: string;
  /** Key grants are signed with, raw Ed25519, in hex; for storage adapters. */
  readonly grantKey: string;
}

export type AdapterKind = 'job' | 'storage';

/** An adapter that is tested, and what its operator lends the suite. */
export interface AdapterSubject {
  readonly kind: AdapterKind;
  /** Starts it; resolves with what ends it. */
  start(configuration: AdapterConfiguration): Promise<() => Promise<void>>;
  /** How it ended, and its last words, where it has ended by itself. */
  ended?(): string | undefined;
  /** Job adapters: puts a job into the framework's queue of that name, and answers its id. */
  submit?(job: Description, queue: string, signal: AbortSignal): Promise<string>;
  /** Job adapters: the framework wants the job no more. */
  cancel?(job: string, signal: AbortSignal): Promise<void>;
  /** Storage adapters: makes these bytes an input. */
  putInput?(content: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** What a subject may lack, and why cases that need it then do not apply. */
export const CAPABILITIES: Readonly<Record<string, string>> = {
  submit: 'no way to submit a job was given (--submit)',
  cancel: 'no way to cancel a job was given (--cancel)',
  putInput: 'no way to put an input was given (--put-input)',
};
