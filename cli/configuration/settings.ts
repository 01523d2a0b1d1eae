import type { IsolationMethod } from '../../agent/executors/index.ts';
import type { LocalRetention } from '../../adapters/jobs/local/local-configuration.ts';
import type { BridgeRetentionDays } from '../../adapters/storage/bridge/main.ts';
import type { ExtraAlgorithm } from '../../adapters/storage/bridge/digests.ts';
import type { Ceiling } from '../../adapters/storage/ceiling.ts';
import type { Limits } from '../../broker/core/command.ts';
import type { BoincTerms } from '../../broker/enrolment/boinc/boinc-method.ts';
import type { OidcProviderConfiguration } from '../../broker/enrolment/oidc/oidc-method.ts';
import type { X509Configuration } from '../../broker/enrolment/x509/x509-method.ts';
import type { TlsFiles } from '../../broker/http/tls-files.ts';
import type { QueueShares } from '../../broker/matching/weights.ts';
import type { RetentionConfiguration } from '../../broker/service/housekeeping.ts';
import type { LogFormat, LogLevel } from '../../protocol/runtime/log.ts';
import type { FrameworkSettings } from '../../adapters/jobs/kit/framework-kind.ts';
import type { LogBounds } from '../rotate-log.ts';

/** Names another file than the installation's `co-pilot.yaml`. */
export const FILE_VARIABLE = 'COPILOT_CONFIG';

/** Where a secret is found; the secret itself is in no configuration. */
export type SecretReference = { readonly file: string } | { readonly env: string };

export type SecretName =
  | 'operatorToken'
  | 'brokerBus'
  | 'localBus'
  | 'bridgeBus'
  | 'ledgerPassword'
  | 'boincPassword';

export type BusKind = 'websocket' | 'rabbitmq' | 'prosody' | 'ejabberd';

export interface QueueSettings {
  readonly leaseMs: number;
  readonly firstRenewMs: number;
  readonly maxLost: number;
  readonly prefetch: number;
  readonly jobAdapter: string;
  readonly storageAdapter: string;
  /** For the broker's leases and for what the local queue hands over alike. */
  readonly share: QueueShares;
}

export interface BusSettings {
  readonly kind: BusKind;
  readonly url?: string;
  readonly componentPort: number;
  readonly brokers?: readonly string[];
  readonly managementUrl: string;
  readonly publicUrl?: string;
  readonly adaptersUrl?: string;
  readonly accessPort?: number;
}

/** Ways into the local queue; one that says nothing is closed. */
export interface IntakeSettings {
  readonly http: { readonly port?: number; readonly tokensFile?: string; readonly names?: readonly string[] };
  readonly directory: { readonly path?: string };
  readonly bridge: { readonly url?: string };
}

/** One framework as it stands in the file. */
export interface FrameworkEntry
  extends Pick<FrameworkSettings, 'kind' | 'url' | 'queues' | 'ceilingFile'>,
    Partial<Pick<FrameworkSettings, 'attempts' | 'options'>> {
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly proxyFile?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly metricsPort?: number;
}

/** Ways to enrol beside one-use codes; one that says nothing is not offered. */
export interface EnrolmentSettings {
  readonly tls: Partial<TlsFiles>;
  readonly x509: Omit<X509Configuration, 'directory' | 'rules'> &
    Partial<Pick<X509Configuration, 'directory' | 'rules'>>;
  readonly oidc?: readonly OidcProviderConfiguration[];
  readonly boinc: Omit<BoincTerms, 'project'> & {
    readonly project?: string;
    readonly database?: string;
    readonly caFile?: string;
  };
  readonly agentsPerOwner: number;
  readonly elsewhere?: readonly string[];
}

/** Every effective value, as configuration.schema.json describes it. What has no default may be absent. */
export interface Settings {
  readonly host: string;
  readonly ports: { readonly bus?: number; readonly enrolment?: number; readonly bridge?: number };
  /** One, or a list in the order in which agents try them. */
  readonly bus: BusSettings | readonly BusSettings[];
  readonly publicUrls: { readonly bus?: string; readonly enrolment?: string; readonly bridge?: string };
  readonly adapters: { readonly busUrl?: string };
  readonly broker: {
    readonly sweepMs: number;
    readonly parkMs: number;
    readonly verdictWaitMs: number;
    readonly maxParked: number;
    readonly framesPerSecond: number;
    readonly busesNeeded: 'all' | 'one';
  };
  readonly enrolment: EnrolmentSettings;
  readonly limits: Limits;
  readonly queues: Readonly<Record<string, QueueSettings>>;
  /** By the name of the adapter. */
  readonly frameworks: Readonly<Record<string, FrameworkEntry>>;
  readonly intake: IntakeSettings;
  readonly bridge: Required<Ceiling> & { readonly digests?: readonly ExtraAlgorithm[] };
  readonly ledger: {
    readonly kind: 'sqlite' | 'postgres';
    readonly url?: string;
    readonly failover: boolean;
  };
  readonly retention: {
    readonly broker: RetentionConfiguration;
    readonly local: LocalRetention;
    readonly bridge: BridgeRetentionDays;
  };
  readonly secrets: Readonly<Partial<Record<SecretName, SecretReference>>>;
  readonly log: LogBounds & {
    readonly level: LogLevel;
    readonly format: LogFormat;
    readonly jobs: boolean;
    readonly owners: boolean;
  };
  readonly metrics: {
    readonly brokerPort?: number;
    readonly localPort?: number;
    readonly bridgePort?: number;
  };
  readonly up: { readonly agents: number; readonly isolation?: IsolationMethod };
  readonly paths: { readonly data?: string };
}

/** Where an effective value comes from, the weakest first. */
export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'flag'; readonly flag: string };

/** One key with its effective value. */
export interface Setting {
  readonly path: readonly string[];
  /** Undefined where nobody said anything and there is no default. */
  readonly value: unknown;
  readonly origin: Origin;
  readonly isSecret: boolean;
}

/** An origin as people read it. */
export function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return 'default';
    case 'file':
      return `${origin.file}:${origin.line}`;
    case 'environment':
      return origin.name;
    case 'flag':
      return origin.flag;
  }
}
