import type { Clock } from '../../protocol/runtime/runtime.ts';

/**
 * Ledger time: what was persisted last, plus what the monotonic clock counted since. It stands still while the broker is down
 * and never follows the wall clock (docs/adr/0005).
 */
export function createLedgerClock(clock: Clock, persistedMs: number): () => number {
  const openedMs = clock.monotonicMs();
  return () => persistedMs + Math.max(0, Math.floor(clock.monotonicMs() - openedMs));
}
