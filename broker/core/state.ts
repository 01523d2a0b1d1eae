/**
 * The rows the lease machine decides about. A decision reads whole rows and returns whole rows; stores keep them as they are.
 * All times are milliseconds of the ledger's own clock (docs/adr/0005), never an agent's.
 */

/** `told` is `committed` and acknowledged by the framework; the table in docs/lease-machine.md shows every transition. */
export type JobState =
  | 'queued'
  | 'leased'
  | 'reported'
  | 'waiting'
  | 'committing'
  | 'committed'
  | 'told'
  | 'refused-by-framework'
  | 'failed'
  | 'cancelled';

export interface FileDigest {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

/** A file as storage found it, with what digests it computes beside. */
export interface StoredFile extends FileDigest {
  readonly adler32?: string;
  readonly md5?: string;
}

export interface Usage {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
}

/** What the agent says became of the process. */
export type Exit =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signalled'; readonly signal: string }
  | { readonly kind: 'limit'; readonly limit: 'wall' | 'cpu' | 'memory' | 'disk' | 'files' | 'output' }
  | { readonly kind: 'failed'; readonly reason: string };

/** One try of one job by one agent; `number` is the fencing token. */
export interface Attempt {
  readonly number: number;
  readonly agent: string;
  /** Who answers for the agent; replicas of one group go to distinct owners. */
  readonly owner: string;
  readonly site: string;
  readonly slot: number;
  readonly state: 'live' | 'reported' | 'waiting' | 'committing' | 'committed' | 'void';
  readonly startedMs: number;
  /** The lease ends here; until the first renewal it is the first-renew deadline. Unused once `state` is not `live`. */
  readonly deadlineMs: number;
  readonly leaseMs: number;
  readonly renewed: boolean;
  /** 0 to 1, as the agent says. */
  readonly progress: number;
  readonly usage: Usage | null;
  readonly exit: Exit | null;
  /** As the agent reported it, then as storage found it. */
  readonly manifest: readonly StoredFile[];
  /** The agent's Ed25519 signature over the report (protocol/report-evidence.ts), base64url; evidence. */
  readonly signature: string;
  readonly logTail: string;
  /** Why it is void; empty otherwise. */
  readonly reason: string;
  /**
   * True while files of a void attempt may lie in storage and the storage adapter has not answered `discarded`;
   * on a `committing` attempt: the commit is being aborted.
   */
  readonly discard: boolean;
}

export interface JobRow {
  readonly id: string;
  readonly queue: string;
  /** The adapter's own name for the job, opaque to us. */
  readonly ref: string;
  readonly owner: string;
  readonly site: string;
  readonly campaign: string;
  /** Which group of replicas the job belongs to; null until replicas are built. */
  readonly replicaGroup: string | null;
  readonly priority: number;
  /** Key of the equivalence class for matching (broker/matching). */
  readonly bucket: string;
  readonly state: JobState;
  /** Number of the last attempt; attempt numbers only rise. */
  readonly lastAttempt: number;
  /** The most recent attempts, oldest first, at most `MAX_KEPT_ATTEMPTS`; only void ones are ever dropped. */
  readonly attempts: readonly Attempt[];
  /** Attempts whose payload failed, against `retries`; attempts lost to machines, against `maxLost`. */
  readonly failures: number;
  readonly losses: number;
  readonly retries: number;
  readonly maxLost: number;
  /** The framework or user asked to end it; wins until `committing`. */
  readonly cancelRequested: boolean;
  /** True once the job adapter acknowledged the final state. */
  readonly told: boolean;
  /** Of how many events its framework says that it was, in the answer by which it became `told`; 0 before, and where it does not say. */
  readonly events: number;
  /** Why it failed, was cancelled or refused by the framework. */
  readonly reason: string;
  /** Bounded opaque state the adapter asks us to keep (4 KiB). */
  readonly adapterState: string;
  readonly createdMs: number;
  readonly finishedMs: number | null;
}

/** What was last answered in one slot; enough to give the same answer again. */
export type SlotReply =
  | { readonly kind: 'leased'; readonly job: string; readonly attempt: number }
  | {
      readonly kind: 'reported';
      readonly job: string;
      readonly attempt: number;
      readonly next: { readonly job: string; readonly attempt: number } | null;
    }
  | { readonly kind: 'released'; readonly job: string; readonly attempt: number };

export interface Slot {
  readonly counter: number;
  readonly reply: SlotReply;
}

export type Verdict = 'committed' | 'refused' | 'waiting';

export interface PendingVerdict {
  readonly job: string;
  readonly attempt: number;
  readonly verdict: Verdict;
  readonly reason: string;
}

/** One agent as the ledger knows it. */
export interface AgentRow {
  readonly id: string;
  readonly owner: string;
  readonly site: string;
  readonly tier: 'untrusted' | 'semi-trusted' | 'trusted';
  /** `draining`: it finishes what it holds and gets no lease, until the operator takes that back. */
  readonly status: 'active' | 'draining' | 'quarantined' | 'revoked';
  /** Whether it counts among its owner's agents: until it is revoked, or no identity of it can be alive any more. */
  readonly place: boolean;
  /** Current start id, and those it superseded with the time, newest first, at most 8. */
  readonly start: string;
  readonly superseded: readonly { readonly start: string; readonly atMs: number }[];
  /** Times at which a superseded start id came back within the last hour. */
  readonly flipsMs: readonly number[];
  readonly slots: Readonly<Record<string, Slot>>;
  /** Attempts it holds: live, or reported and not yet resolved. */
  readonly held: readonly { readonly job: string; readonly attempt: number; readonly live: boolean }[];
  /** Verdicts it has not named as seen, oldest first, at most 64. */
  readonly verdicts: readonly PendingVerdict[];
  /** Failures in a row that came fast, and until when it gets no work. */
  readonly quickFailures: number;
  readonly coolUntilMs: number;
}

/** The account or host behind agents: trust, quota and bans attach to it. */
export interface OwnerRow {
  readonly id: string;
  readonly banned: boolean;
  /** Attempts its agents hold live. */
  readonly live: number;
  /** Its agents that have a place. */
  readonly agents: number;
}

/**
 * Attempts kept per job. At the bound the oldest void one whose files are discarded goes first, else the oldest void one:
 * its files are then left to the storage's own expiry.
 */
export const MAX_KEPT_ATTEMPTS = 32;
/** Verdicts and held attempts of one agent together; at the bound it gets no lease until it names some as seen. */
export const MAX_VERDICTS = 64;
/** Slots are numbered 1 to this; 0 is `renew`'s and has no counter here. */
export const MAX_SLOTS = 63;
/** Start ids remembered as superseded; an older one counts as new. */
export const MAX_SUPERSEDED = 8;
/** Characters kept of the log tail of an attempt: the last ones. */
export const MAX_LOG_TAIL = 4096;
/** Characters kept of a reason: the first ones. */
export const MAX_REASON = 500;
