import type { OwnerRow } from '../core/state.ts';

/** What operators ask of a ledger; never on the hot path. */
export interface LedgerKeeping {
  /** The ledger's clock, in which its rows count time. */
  nowMs(): Promise<number>;
  owner(id: string): Promise<OwnerRow | undefined>;
}
