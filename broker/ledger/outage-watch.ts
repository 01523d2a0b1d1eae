import type { Clock } from '../../protocol/runtime/runtime.ts';

/** Longer than this without the ledger's clock, and leases may have run out that nobody could renew. */
const OUTAGE_MS = 15_000;

/**
 * Holds the ledger's clock, which is another machine's, against this machine's monotonic one. It sees when leases went on while
 * this broker could not renew them: the database was away, this machine slept, or the other clock was set forward.
 */
export interface OutageWatch {
  /** Nothing was heard of the ledger. */
  lost(): void;
  /** Whether leases must be given anew before anything is decided at this ledger time. */
  isAfterOutage(nowMs: number): boolean;
  /** The ledger answered, and leases are as they should be. */
  seen(nowMs: number): void;
}

export function createOutageWatch(clock: Clock): OutageWatch {
  let last: { readonly ledgerMs: number; readonly monotonicMs: number } | undefined;
  let isLost = false;
  return {
    lost() {
      isLost = true;
    },
    isAfterOutage(nowMs) {
      if (last === undefined) return false;
      const gone = nowMs - last.ledgerMs;
      return (isLost ? gone : gone - (clock.monotonicMs() - last.monotonicMs)) > OUTAGE_MS;
    },
    seen(nowMs) {
      last = { ledgerMs: nowMs, monotonicMs: clock.monotonicMs() };
      isLost = false;
    },
  };
}
