/** The subject did not do as it should; the message says what was expected and what was seen. */
export class Failed extends Error {
  override readonly name = 'Failed';
}

const POLL_MS = 10;

/** Throws `Failed` unless it holds. */
export function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Failed(otherwise);
}

/** Looks until there is something to see, and answers it; `Failed` after `withinMs`, or the signal's reason. */
export async function until<T>(
  what: string,
  look: () => T | undefined,
  withinMs: number,
  signal: AbortSignal,
): Promise<T> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    signal.throwIfAborted();
    const seen = look();
    if (seen !== undefined) return seen;
    if (performance.now() > deadlineMs)
      throw new Failed(`waited ${(withinMs / 1000).toFixed(1)} s in vain for ${what}`);
    await pause(POLL_MS, signal);
  }
}

/** Watches for so long that nothing of a kind happens; `Failed` as soon as `seen` answers what did. */
export async function never(
  seen: () => string | undefined,
  forMs: number,
  signal: AbortSignal,
): Promise<void> {
  const untilMs = performance.now() + forMs;
  for (;;) {
    const found = seen();
    if (found !== undefined) throw new Failed(found);
    if (performance.now() > untilMs) return;
    await pause(POLL_MS, signal);
  }
}

/** Waits; rejects with the signal's reason. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const stop = (): void => {
      clearTimeout(timer);
      reject(reasonOf(signal));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Failed('the case was ended');
}
