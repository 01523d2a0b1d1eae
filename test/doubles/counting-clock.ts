import type { Clock } from '../../protocol/runtime/runtime.ts';

/** A clock that knows how many of its timers still wait: after `stop` there should be none. */
export interface CountingClock extends Clock {
  pending(): number;
}

export function createCountingClock(clock: Clock): CountingClock {
  let pending = 0;
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    schedule(delayMs, action) {
      let isWaiting = true;
      pending++;
      const settle = (): boolean => {
        if (!isWaiting) return false;
        isWaiting = false;
        pending--;
        return true;
      };
      const cancel = clock.schedule(delayMs, () => {
        if (settle()) action();
      });
      return () => {
        if (settle()) cancel();
      };
    },
    pending: () => pending,
  };
}
