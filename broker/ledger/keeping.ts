import type { SnapshotProgress } from '../../protocol/runtime/sqlite-snapshot.ts';
import type { Account } from '../core/account.ts';
import type { LedgerRetention } from '../core/prune.ts';
import type { AgentRow, OwnerRow } from '../core/state.ts';

/** What operators ask of a ledger; never on the hot path. */
export interface LedgerKeeping {
  /** The ledger's clock, in which its rows count time. */
  nowMs(): Promise<number>;
  owner(id: string): Promise<OwnerRow | undefined>;
  /** Agents in the order of their ids, from the one after `after`; at most `limit`. */
  agents(after: string, limit: number): Promise<AgentPage>;
  /** Accounts of jobs that went, in the order of their keys, from the one after `after`; at most `limit`. */
  accounts(after: string, limit: number): Promise<readonly Account[]>;
  /**
   * Looks at the next rows, at most `limit` of each kind, and removes those that the retention does not keep: never a job
   * that is not over. What a job used goes into its account. Rejects as `apply` does; then nothing was removed.
   */
  prune(retention: LedgerRetention, limit: number): Promise<Pruned>;
  /**
   * Copies the whole ledger to a new file while it goes on, as of one moment after the call, and syncs it. Rejects with
   * `LEDGER_FULL` or `LEDGER_UNAVAILABLE`, and with `UNSUPPORTED` where the ledger lies in no file.
   */
  snapshot(path: string, onProgress: (progress: SnapshotProgress) => void): Promise<void>;
}

export interface AgentPage {
  readonly agents: readonly AgentRow[];
  /** The ledger's own time, by which their cool-downs end. */
  readonly nowMs: number;
}

/** How much went. */
export interface Pruned {
  readonly jobs: number;
  readonly agents: number;
  readonly tombstones: number;
  readonly auditRecords: number;
  /** Agents among those looked at whose place is to be freed (`lapse`). */
  readonly lapsed: readonly string[];
  /** The next call goes on where this one stopped; otherwise all jobs were looked at. */
  readonly more: boolean;
}
