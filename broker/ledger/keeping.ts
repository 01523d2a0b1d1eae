import type { LedgerRetention } from '../core/prune.ts';
import type { OwnerRow } from '../core/state.ts';

/** What operators ask of a ledger; never on the hot path. */
export interface LedgerKeeping {
  /** The ledger's clock, in which its rows count time. */
  nowMs(): Promise<number>;
  owner(id: string): Promise<OwnerRow | undefined>;
  /**
   * Looks at the next rows, at most `limit` of each kind, and removes those that the retention does not keep: never a job
   * that is not over. Rejects as `apply` does; then nothing was removed.
   */
  prune(retention: LedgerRetention, limit: number): Promise<Pruned>;
}

/** How much went. */
export interface Pruned {
  readonly jobs: number;
  readonly agents: number;
  readonly tombstones: number;
  readonly auditRecords: number;
  /** The next call goes on where this one stopped; otherwise all jobs were looked at. */
  readonly more: boolean;
}
