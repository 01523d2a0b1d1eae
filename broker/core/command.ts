import type {
  AgentRow,
  Exit,
  FileDigest,
  StoredFile,
  JobRow,
  OwnerRow,
  PendingVerdict,
  SlotReply,
  Usage,
} from './state.ts';

/** Bounds the operator sets; they travel with the command so that a decision depends on nothing else. */
export interface Limits {
  readonly liveAttemptsPerAgent: number;
  readonly liveAttemptsPerOwner: number;
  /** Attempts an agent may hold reported and unresolved. */
  readonly unresolvedPerAgent: number;
  /** A failure within this time of the lease is a quick one. */
  readonly quickFailureMs: number;
  /** After this many quick failures in a row the agent cools down, doubling from `coolDownMs` to `maxCoolDownMs`. */
  readonly quickFailuresAllowed: number;
  readonly coolDownMs: number;
  readonly maxCoolDownMs: number;
}

/** Durations of one queue. */
export interface LeaseTerms {
  readonly leaseMs: number;
  readonly firstRenewMs: number;
}

/** A job as the adapter hands it over; `id` is the idempotence key. */
export interface NewJob {
  readonly id: string;
  readonly queue: string;
  readonly ref: string;
  readonly owner: string;
  readonly site: string;
  readonly campaign: string;
  readonly priority: number;
  readonly bucket: string;
  readonly retries: number;
  readonly maxLost: number;
  readonly adapterState: string;
  /** The job description as JSON text, at most 12 KiB; stored beside the row, immutable. */
  readonly description: string;
}

/**
 * Everything that can happen to the ledger. Each names the rows it reads: `job`, `agent` and, through the agent, `owner`.
 * Commands of agents carry slot and counter: a counter at or below the slot's last changes nothing.
 */
export type Command =
  | { readonly kind: 'accept'; readonly job: NewJob }
  /** The agent is about to get an identity, its first one or another. */
  | {
      readonly kind: 'enrol';
      readonly agent: string;
      readonly owner: string;
      readonly site: string;
      readonly tier: AgentRow['tier'];
      /** Places that an owner's agents have. */
      readonly agentsPerOwner: number;
    }
  /** No identity of the agent can be alive any more. */
  | { readonly kind: 'lapse'; readonly agent: string }
  | {
      readonly kind: 'hello';
      readonly agent: string;
      readonly owner: string;
      readonly site: string;
      readonly tier: AgentRow['tier'];
      readonly start: string;
    }
  | {
      readonly kind: 'lease';
      readonly agent: string;
      readonly start: string;
      readonly slot: number;
      readonly counter: number;
      /** The wish came with a report: without that report's own success there is no lease. */
      readonly afterReport: boolean;
      /** The candidate the matcher chose; an empty string only checks whether the agent may ask now (`unchanged` if so). */
      readonly job: string;
      readonly terms: LeaseTerms;
      readonly limits: Limits;
      readonly seen: readonly Seen[];
    }
  | {
      readonly kind: 'renew';
      readonly agent: string;
      readonly start: string;
      readonly job: string;
      readonly attempt: number;
      readonly progress: number;
      readonly usage: Usage | null;
      readonly logTail: string;
    }
  | {
      readonly kind: 'report';
      readonly agent: string;
      readonly start: string;
      readonly slot: number;
      readonly counter: number;
      readonly job: string;
      readonly attempt: number;
      readonly exit: Exit;
      readonly manifest: readonly FileDigest[];
      readonly usage: Usage;
      readonly logTail: string;
      readonly signature: string;
      readonly limits: Limits;
      readonly seen: readonly Seen[];
      /** What storage said of this very manifest before; then steps 1 and 3 are one decision, and a report not taken has neither. */
      readonly verification?: Verification;
    }
  | {
      readonly kind: 'release';
      readonly agent: string;
      readonly start: string;
      readonly slot: number;
      readonly counter: number;
      readonly job: string;
      readonly attempt: number;
      readonly reason: string;
    }
  /** Names verdicts as seen outside a counted message (renew). */
  | {
      readonly kind: 'seen';
      readonly agent: string;
      readonly start: string;
      readonly seen: readonly Seen[];
    }
  /** Storage checked what was uploaded against the manifest. */
  | {
      readonly kind: 'verified';
      readonly job: string;
      readonly attempt: number;
      readonly result: Verification;
      readonly limits: Limits;
    }
  /** Give up on finalising attempt k: from now on `discarded` is wanted of the storage. A `finalised` that comes first still wins. */
  | { readonly kind: 'abort'; readonly job: string; readonly attempt: number; readonly reason: string }
  /** Storage registered attempt k durably. */
  | { readonly kind: 'finalised'; readonly job: string; readonly attempt: number }
  /** Storage will never finalise attempt k any more. */
  | { readonly kind: 'discarded'; readonly job: string; readonly attempt: number }
  /** The job adapter acknowledged the final state after the framework's own answer. */
  | {
      readonly kind: 'told';
      readonly job: string;
      readonly answer: 'ok' | 'refused';
      readonly reason: string;
      /** Events of a result that counts; 0 where the adapter named none. */
      readonly events: number;
    }
  | { readonly kind: 'cancel'; readonly job: string; readonly reason: string }
  /** Voids live attempts whose deadline is past; harmless otherwise. One that was never renewed counts as a quick failure. */
  | { readonly kind: 'expire'; readonly job: string; readonly limits: Limits }
  /** After a broker outage: every live attempt of the job gets a fresh lease from now. */
  | { readonly kind: 'grace'; readonly job: string }
  | { readonly kind: 'revoke'; readonly agent: string; readonly reason: string }
  /** The agent gets no lease any more, or again. What it holds it finishes. */
  | { readonly kind: 'drain'; readonly agent: string; readonly draining: boolean }
  | { readonly kind: 'ban'; readonly owner: string; readonly banned: boolean };

export interface Seen {
  readonly job: string;
  readonly attempt: number;
}

export type Verification =
  | { readonly kind: 'verified'; readonly files: readonly StoredFile[] }
  | { readonly kind: 'mismatch'; readonly reason: string };

/** Why a command changed nothing; stable words that travel to the agent. */
export type Refusal =
  | 'NOT_FOUND'
  | 'NOT_QUEUED'
  | 'ATTEMPT_NOT_LIVE'
  | 'STALE_COUNTER'
  | 'SUPERSEDED'
  | 'REVOKED'
  | 'QUARANTINED'
  | 'BANNED'
  /** The key is known under another owner; an agent never changes hands. */
  | 'OTHER_OWNER'
  /** The operator wants no more work on it; what it holds goes on. */
  | 'DRAINING'
  | 'COOLING_DOWN'
  | 'TOO_MANY_ATTEMPTS'
  /** Of this owner as many have a place as may. */
  | 'TOO_MANY_AGENTS';

/** What the shell must do for a changed job once the group is durable; derived from the row alone, hence survives a crash. */
export type Duty =
  | { readonly kind: 'verify'; readonly attempt: number }
  | { readonly kind: 'finalise'; readonly attempt: number }
  | { readonly kind: 'discard'; readonly attempt: number }
  | { readonly kind: 'tell' };

export type Outcome =
  | { readonly kind: 'accepted'; readonly job: JobRow }
  /** Already there: nothing changed. */
  | { readonly kind: 'known'; readonly job: JobRow }
  /** It ended long ago and its row went: it is not run again. `attempt` is the one whose result it has, or 0. */
  | { readonly kind: 'pruned'; readonly id: string; readonly attempt: number }
  /** `jobs` are those that lost the attempts named in `voided`, as they are now. */
  | {
      readonly kind: 'welcome';
      readonly agent: AgentRow;
      readonly voided: readonly Seen[];
      readonly jobs: readonly JobRow[];
    }
  | {
      readonly kind: 'leased';
      readonly job: JobRow;
      readonly attempt: number;
      readonly agent: AgentRow;
      readonly description: string;
    }
  /** The row is there so that the framework can be told that the attempt is alive. */
  | {
      readonly kind: 'renewed';
      readonly job: JobRow;
      readonly leaseMs: number;
      readonly order: 'continue' | 'cancel' | 'drain';
    }
  | { readonly kind: 'reported'; readonly job: JobRow; readonly agent: AgentRow }
  | { readonly kind: 'released'; readonly job: JobRow; readonly agent: AgentRow }
  /** The same counter again: answer as before. */
  | { readonly kind: 'repeat'; readonly reply: SlotReply; readonly agent: AgentRow }
  /** A job changed with no agent waiting for the answer. `verdict` is what its agent was told, if anything. */
  | {
      readonly kind: 'changed';
      readonly job: JobRow;
      readonly verdict: (PendingVerdict & { readonly agent: string }) | null;
    }
  /** The framework acknowledged the end of the job; once for each job. */
  | { readonly kind: 'told'; readonly job: JobRow }
  | { readonly kind: 'unchanged' }
  /** `jobs` are those whose live attempts ended with the agent. */
  | { readonly kind: 'revoked'; readonly agent: AgentRow; readonly jobs: readonly JobRow[] }
  /** Verdicts were named as seen, the agent drains from now on or no longer, or has a place or has left it. */
  | { readonly kind: 'noted'; readonly agent: AgentRow }
  | { readonly kind: 'owner'; readonly owner: OwnerRow }
  | { readonly kind: 'refused'; readonly code: Refusal; readonly retryAfterMs: number };

/** One line of the audit log; what a later Merkle tool hashes. Field order is fixed (broker/core/audit.ts). `grant` is written by no command yet. */
export interface AuditRecord {
  readonly kind:
    | 'lease'
    | 'grant'
    | 'report'
    | 'verdict'
    | 'commit'
    | 'void'
    | 'final'
    | 'revocation'
    | 'quarantine'
    | 'drain';
  readonly job: string;
  readonly attempt: number;
  readonly agent: string;
  readonly detail: string;
}
