import type { Clock } from '../../protocol/runtime/runtime.ts';

/** Longer than this without the ledger's clock, and leases may have run out that nobody could renew. */
const OUTAGE_MS = 15_000;

/**
 * Holds the ledger's clock, which is another machine's, against this machine's monotonic one. It sees when leases went on while
 * this broker could not renew them: the database was away or did not answer, this machine slept, or the other clock was set forward.
 */
export interface OutageWatch {
  /** The ledger has just said that it is this time. */
  read(ledgerMs: number): Reading;
  /** Whether leases must be given anew before anything is decided at the time of this reading. */
  isAfterOutage(reading: Reading): boolean;
  /** What was begun with this reading is done, and leases are as they should be. */
  done(reading: Reading): void;
  /** Nothing was heard of the ledger. */
  lost(): void;
}

/** Both clocks at one moment. */
export interface Reading {
  readonly ledgerMs: number;
  readonly monotonicMs: number;
}

export function createOutageWatch(clock: Clock): OutageWatch {
  let last: Reading | undefined;
  let isLost = false;
  return {
    read: (ledgerMs) => ({ ledgerMs, monotonicMs: clock.monotonicMs() }),
    isAfterOutage(reading) {
      if (last === undefined) return false;
      const gone = reading.ledgerMs - last.ledgerMs;
      return (isLost ? gone : gone - (reading.monotonicMs - last.monotonicMs)) > OUTAGE_MS;
    },
    done(reading) {
      last = reading;
      isLost = clock.monotonicMs() - reading.monotonicMs > OUTAGE_MS;
    },
    lost() {
      isLost = true;
    },
  };
}
