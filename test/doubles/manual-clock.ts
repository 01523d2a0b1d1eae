import type { Cancel, Clock } from '../../protocol/runtime/runtime.ts';

/** A clock that stands still until told otherwise; starts at a fixed wall time so that runs repeat. */
export interface ManualClock extends Clock {
  /** Moves both clocks on by `ms`, firing what falls due, in order of due time and then of scheduling. */
  advance(ms: number): void;
  /** As `advance`, and lets promises settle after each timer that fires. */
  run(ms: number): Promise<void>;
  /** Moves the wall clock alone, as a restored snapshot or a corrected clock does. */
  jumpWall(ms: number): void;
  /** Timers that are scheduled and not cancelled. */
  pending(): number;
}

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly action: () => void;
}

const START_WALL_MS = Date.UTC(2026, 0, 1);

export function createManualClock(): ManualClock {
  const timers = new Set<Timer>();
  let nowMs = 0;
  let wallOffsetMs = START_WALL_MS;
  let order = 0;

  const takeDue = (untilMs: number): Timer | undefined => {
    let next: Timer | undefined;
    for (const timer of timers) {
      if (timer.dueMs > untilMs) continue;
      if (
        next === undefined ||
        timer.dueMs < next.dueMs ||
        (timer.dueMs === next.dueMs && timer.order < next.order)
      )
        next = timer;
    }
    if (next !== undefined) timers.delete(next);
    return next;
  };
  const fireNext = (untilMs: number): boolean => {
    const timer = takeDue(untilMs);
    if (timer === undefined) return false;
    nowMs = Math.max(nowMs, timer.dueMs);
    timer.action();
    return true;
  };

  return {
    wallMs: () => nowMs + wallOffsetMs,
    monotonicMs: () => nowMs,
    schedule(delayMs, action): Cancel {
      const timer: Timer = { dueMs: nowMs + Math.max(0, delayMs), order: order++, action };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    advance(ms) {
      const untilMs = nowMs + ms;
      while (fireNext(untilMs));
      nowMs = untilMs;
    },
    async run(ms) {
      const untilMs = nowMs + ms;
      await settle();
      while (fireNext(untilMs)) await settle();
      nowMs = untilMs;
    },
    jumpWall(ms) {
      wallOffsetMs += ms;
    },
    pending: () => timers.size,
  };
}

/** One turn of the event loop: every promise that can settle without a timer has settled. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
