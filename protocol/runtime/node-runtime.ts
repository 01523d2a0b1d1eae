import { randomFillSync } from 'node:crypto';
import { createCrypto } from './node-crypto.ts';
import type { Cancel, Clock, Log, Random, Runtime } from './runtime.ts';

export { createCrypto } from './node-crypto.ts';

/** Longest delay `setTimeout` takes without firing at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The machine's clocks and timers. */
export const nodeClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule,
};

/** The operating system's random bytes. */
export const nodeRandom: Random = { bytes: (length) => randomFillSync(new Uint8Array(length)) };

/** The real runtime of one component, which differs from the others' only in its log. */
export function createNodeRuntime(log: Log): Runtime {
  return { clock: nodeClock, random: nodeRandom, crypto: createCrypto(), log };
}

function schedule(delayMs: number, action: () => void): Cancel {
  if (delayMs <= 0) {
    // A timer would wait a millisecond at least.
    const immediate = setImmediate(action);
    return () => clearImmediate(immediate);
  }
  const dueMs = performance.now() + delayMs;
  let timer: NodeJS.Timeout | undefined;
  // Timers fire up to a millisecond early, and take 25 days at most: whatever is left is waited for again.
  const arm = (): void => {
    const leftMs = dueMs - performance.now();
    timer = setTimeout(
      () => (performance.now() < dueMs ? arm() : action()),
      Math.min(Math.ceil(Math.max(leftMs, 0)), MAX_TIMEOUT_MS),
    );
  };
  arm();
  return () => clearTimeout(timer);
}
