import { describe, expect, it } from 'vitest';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';

describe('node clock', () => {
  it('never fires before the delay has passed by its own monotonic clock', async () => {
    const startMs = nodeClock.monotonicMs();
    const firedAt = await Promise.all(
      [1, 2, 3, 5, 8].map(
        (delayMs) =>
          new Promise<number>((resolve) =>
            nodeClock.schedule(delayMs, () => resolve(nodeClock.monotonicMs() - delayMs)),
          ),
      ),
    );
    for (const atMs of firedAt) expect(atMs).toBeGreaterThanOrEqual(startMs);
  });

  it('fires nothing that was cancelled, and takes delays longer than a timer can', async () => {
    let fired = 0;
    const cancels = [nodeClock.schedule(0, () => fired++), nodeClock.schedule(2 ** 40, () => fired++)];
    for (const cancel of [...cancels, ...cancels]) cancel();
    await new Promise<void>((resolve) => nodeClock.schedule(5, resolve));
    expect(fired).toBe(0);
  });
});

describe('node random', () => {
  it('gives as many bytes as asked, never the same twice', () => {
    expect(nodeRandom.bytes(100_000)).toHaveLength(100_000);
    expect(nodeRandom.bytes(16)).not.toEqual(nodeRandom.bytes(16));
  });
});
