import type { StoredKey } from '../protocol/runtime/key-file.ts';
import type { LogConfiguration } from '../protocol/runtime/log.ts';
import type { MetricsConfiguration } from '../protocol/runtime/metrics-server.ts';
import type { PostgresPlace } from './ledger/postgres-place.ts';
import type { EnrolmentConfiguration } from './enrolment/configured-methods.ts';
import type { Limits } from './core/command.ts';
import type { RetentionConfiguration } from './service/housekeeping.ts';
import type { QueueConfiguration } from './service/configuration.ts';

/** What the broker program runs with: its keys and secrets, and what a person set. */
export interface BrokerProgramConfiguration {
  readonly installation: string;
  readonly instance: string;
  readonly host: string;
  /** 0 for any free port. Of the embedded bus; where a bus server asks, unless it has a port of its own. */
  readonly busPort: number;
  /** What agents and adapters come by, of each kind one at most; agents try them in this order. */
  readonly buses: readonly BusConfiguration[];
  /** Whether all of them must be up before the broker serves. */
  readonly busesNeeded?: 'all' | 'one';
  /** Names of other instances that a bus server must know. */
  readonly otherBrokers?: readonly string[];
  readonly enrolmentPort: number;
  /** What agents reach the enrolment by where that is not host and port: behind a proxy that ends TLS. */
  readonly publicEnrolmentUrl?: string;
  /** Ways to enrol beside one-use codes; none where it is left out. */
  readonly enrolment?: EnrolmentConfiguration;
  readonly keys: {
    readonly session: StoredKey;
    readonly grant: StoredKey;
    readonly certifier: StoredKey;
    readonly identity: StoredKey;
  };
  /** Where the signing keys lie once one was rolled; a file of the broker's directory where it is left out. */
  readonly keyRing?: string;
  /** Adapters: name, session key (raw, hex), and the secret that admits it to the embedded bus. */
  readonly services: readonly {
    readonly name: string;
    readonly key: string;
    readonly keyId: number;
    readonly secret: string;
  }[];
  readonly queues: readonly QueueConfiguration[];
  readonly limits: Limits;
  readonly sweepMs: number;
  readonly parkMs: number;
  readonly verdictWaitMs: number;
  readonly maxParked: number;
  /** Frames one connection may send each second; twice that at once. */
  readonly framesPerSecond: number;
  /** The PostgreSQL that several brokers may share; a file of this one where it is left out. */
  readonly ledger?: PostgresLedgerConfiguration;
  readonly log?: LogConfiguration;
  /** Where metrics are read beside the control socket; nowhere by default. */
  readonly metrics?: MetricsConfiguration;
  /** How long what is over stays in the ledger; the defaults where left out. */
  readonly retention?: Partial<RetentionConfiguration>;
}

export type BusConfiguration = EmbeddedBusConfiguration | BusServerConfiguration;

export interface EmbeddedBusConfiguration {
  readonly kind: 'websocket';
  /** What agents reach it by where that is not host and port. */
  readonly publicUrl?: string;
}

/** RabbitMQ, or an XMPP server, which brokers and adapters reach by a port of their own. */
export interface BusServerConfiguration {
  readonly kind: 'rabbitmq' | 'prosody' | 'ejabberd';
  readonly url: string;
  readonly password: string;
  readonly componentUrl?: string;
  /** Where RabbitMQ's management answers: agents' connections are closed there. */
  readonly managementUrl: string;
  /** Where the server asks who may do what, on the loopback interface. */
  readonly accessPort?: number;
  readonly publicUrl?: string;
}

export interface PostgresLedgerConfiguration {
  readonly place: PostgresPlace;
  /** The database may move to a standby: start only where it waits for one with each commit. */
  readonly failover: boolean;
}
