import type { SnapshotProgress } from '../../protocol/runtime/sqlite-snapshot.ts';

/** What operators ask of a ledger; never on the hot path. */
export interface LedgerKeeping {
  /**
   * Copies the whole ledger to a new file while it goes on, as of one moment after the call, and syncs it. Rejects with
   * `LEDGER_FULL` or `LEDGER_UNAVAILABLE`, and with `UNSUPPORTED` where the ledger lies in no file.
   */
  snapshot(path: string, onProgress: (progress: SnapshotProgress) => void): Promise<void>;
}
