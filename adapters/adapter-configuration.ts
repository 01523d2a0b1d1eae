import type { LogConfiguration } from '../protocol/runtime/log.ts';
import type { MetricsConfiguration } from '../protocol/runtime/metrics-server.ts';
import type { StoredKey } from '../protocol/runtime/key-file.ts';

/** What every adapter program runs with. */
export interface AdapterConfiguration {
  readonly installation: string;
  /** The adapter's service name. */
  readonly name: string;
  readonly key: StoredKey;
  readonly keyId: number;
  /** Session keys of the brokers it serves, raw, in hex. */
  readonly brokers: readonly string[];
  /** It is on each of them. */
  readonly busUrls: readonly string[];
  /** Admits it under its name. */
  readonly busSecret: string;
  readonly log?: LogConfiguration;
  /** Where metrics are read; nowhere by default. */
  readonly metrics?: MetricsConfiguration;
}
