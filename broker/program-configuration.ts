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
  /** 0 for any free port. With a bus server it is where that server asks who may do what, on the loopback interface. */
  readonly busPort: number;
  /** A server instead of the embedded bus. */
  readonly busServer?: BusServerConfiguration;
  /** Names of other instances that a bus server must know. */
  readonly otherBrokers?: readonly string[];
  readonly enrolmentPort: number;
  /** What agents reach bus and enrolment by where that is not host and port: behind a proxy that ends TLS. */
  readonly publicBusUrl?: string;
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

/** RabbitMQ, or an XMPP server, which brokers and adapters reach by a port of their own. */
export interface BusServerConfiguration {
  readonly url: string;
  readonly password: string;
  /** Where RabbitMQ's management answers: agents' connections are closed there. */
  readonly managementUrl: string;
  readonly componentUrl?: string;
}

export interface PostgresLedgerConfiguration {
  readonly place: PostgresPlace;
  /** The database may move to a standby: start only where it waits for one with each commit. */
  readonly failover: boolean;
}
