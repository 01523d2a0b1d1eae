import type { LeaseTerms, Limits } from '../core/command.ts';
import type { QueueShares } from '../matching/weights.ts';
import type { Address } from '../../protocol/bindings/bus.ts';
import type { PrivateKey, PublicKey } from '../../protocol/runtime/runtime.ts';

/** One stream of jobs: who gives them, where their files go, how long their leases run. */
export interface QueueConfiguration extends LeaseTerms {
  readonly name: string;
  /** Service names of the two adapters. */
  readonly jobAdapter: string;
  readonly storageAdapter: string;
  /** Attempts lost to machines before a job fails. */
  readonly maxLost: number;
  /** Jobs kept in the ledger ahead of the agents that ask; up to `MAX_AHEAD` where those ahead match nobody who waits. */
  readonly prefetch: number;
  /** How leases are shared between queues, owners and campaigns (docs/matching.md); equally where it is left out. */
  readonly share?: QueueShares;
}

/** An adapter this broker opens sessions to. */
export interface ServiceConfiguration {
  readonly name: string;
  readonly key: PublicKey;
  readonly keyId: number;
}

export interface BrokerConfiguration {
  readonly installation: string;
  readonly instance: string;
  /** The instance's own address on its bus; the shared one where nobody else is there. */
  readonly address?: Address;
  /** The buses that are joined to the one it serves; left out where there is but one. */
  readonly doors?: readonly string[];
  /** The one of them that has no server in between. */
  readonly nearDoor?: string;
  /** Random id of this start of the broker. */
  readonly start: string;
  /** Those that sign may be others each time they are read. */
  readonly keys: {
    /** X25519, this instance's sessions. */
    readonly session: PrivateKey;
    /** Ed25519, grants. */
    readonly grant: PrivateKey;
    /** Ed25519, certifies instances; agents know its public half from enrolment. */
    readonly certifier: PrivateKey;
    /** P-256, checks identities. */
    readonly identity: PublicKey;
    /** All keys whose identities count now, where that is more than one or may change. */
    readonly identities?: () => readonly PublicKey[];
    /** Keys whose identities count no more, and may be renewed: who shows one hears so. */
    readonly formerIdentities?: () => readonly PublicKey[];
  };
  readonly queues: readonly QueueConfiguration[];
  readonly services: readonly ServiceConfiguration[];
  readonly limits: Limits;
  readonly sweepMs: number;
  /** A request waits this long for work before it is answered `none`. */
  readonly parkMs: number;
  /** The answer to a report waits this long for the verdict (docs/adr/0009). */
  readonly verdictWaitMs: number;
  readonly maxParked: number;
}

/** Jobs of one queue in the ledger's hands at most, matched or not. */
export const MAX_AHEAD = 10_000;

export const DEFAULT_LIMITS: Limits = {
  liveAttemptsPerAgent: 64,
  liveAttemptsPerOwner: 10_000,
  unresolvedPerAgent: 32,
  quickFailureMs: 30_000,
  quickFailuresAllowed: 3,
  coolDownMs: 60_000,
  maxCoolDownMs: 3_600_000,
};
