import type { Cancel, Clock } from '../../protocol/runtime/runtime.ts';

/** So long may a connection owe an answer before anybody asks whether its other end is still there. */
const SILENCE_MS = 20_000;
/** So long may that question take. */
const PROBE_MS = 15_000;

export interface SilenceWatchOptions {
  readonly clock: Clock;
  /** Resolves where the other end can be reached on another way. */
  readonly probe: () => Promise<unknown>;
  /** Nothing will ever come. */
  readonly onDead: () => void;
}

/**
 * Finds out that a network swallows what is sent: TCP alone takes a quarter of an hour to notice. An answer may well take long,
 * as a commit does that waits for a standby, so the connection is given up only where no other can be made.
 */
export interface SilenceWatch {
  asked(): void;
  answered(): void;
  stop(): void;
}

export function createSilenceWatch({ clock, probe, onDead }: SilenceWatchOptions): SilenceWatch {
  let owed = 0;
  let heardMs = 0;
  let isStopped = false;
  let cancel: Cancel = () => undefined;

  function later(delayMs: number): void {
    cancel();
    if (!isStopped && owed > 0) cancel = clock.schedule(delayMs, look);
  }

  function look(): void {
    const leftMs = heardMs + SILENCE_MS - clock.monotonicMs();
    if (leftMs > 0) later(leftMs);
    else void within(clock, PROBE_MS, probe).then(judge);
  }

  function judge(isThere: boolean): void {
    if (isStopped || owed === 0) return;
    const isSilent = clock.monotonicMs() - heardMs >= SILENCE_MS;
    if (isThere || !isSilent) later(SILENCE_MS);
    else onDead();
  }

  return {
    asked() {
      owed += 1;
      if (owed > 1) return;
      heardMs = clock.monotonicMs();
      later(SILENCE_MS);
    },
    answered() {
      owed -= 1;
      heardMs = clock.monotonicMs();
      if (owed === 0) cancel();
    },
    stop() {
      isStopped = true;
      cancel();
    },
  };
}

/** Whether it succeeds in time. */
function within(clock: Clock, ms: number, attempt: () => Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.schedule(ms, () => resolve(false));
    attempt().then(
      () => {
        cancel();
        resolve(true);
      },
      () => {
        cancel();
        resolve(false);
      },
    );
  });
}
