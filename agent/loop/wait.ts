import type { Clock, Random } from '../../protocol/runtime/runtime.ts';

/** True after `ms`; false as soon as the signal is aborted. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (slept: boolean) => () => {
      cancel();
      signal.removeEventListener('abort', aborted);
      resolve(slept);
    };
    const aborted = end(false);
    const cancel = clock.schedule(ms, end(true));
    signal.addEventListener('abort', aborted, { once: true });
  });
}

/** `ms` spread evenly over three quarters to five quarters of it, so that many agents do not move in step. */
export function jittered(random: Random, ms: number): number {
  const [high = 0, low = 0] = random.bytes(2);
  return ms * (0.75 + (high * 256 + low) / 131_072);
}

/** `ms` and up to a quarter more: for waits that must not be cut short. */
export function atLeast(random: Random, ms: number): number {
  const [high = 0, low = 0] = random.bytes(2);
  return ms * (1 + (high * 256 + low) / 262_144);
}

/** Doubles from `baseMs` with every try from 0 on, up to `maxMs`, with jitter. */
export function backOffMs(random: Random, tries: number, baseMs: number, maxMs: number): number {
  return jittered(random, Math.min(maxMs, baseMs * 2 ** Math.min(tries, 30)));
}
