import { describe, expect, it } from 'vitest';
import { createMemoryTransfers } from '../../../agent/transfers/memory.ts';
import { persist } from '../../../agent/transfers/patience.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { ErrorCode } from '../../../protocol/errors.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';

function open() {
  const clock = createManualClock();
  const options = {
    clock,
    log: silentLog,
    random: createSeededRandom(1),
    attempts: 4,
    baseMs: 500,
    maxMs: 15_000,
  };
  return { clock, options, signal: new AbortController() };
}

describe('patience', () => {
  it('gives up after so many failures in a row, having waited longer each time', async () => {
    const { clock, options, signal } = open();
    const at: number[] = [];
    const step = (): Promise<never> => {
      at.push(clock.monotonicMs());
      return Promise.reject(new CoPilotError('UNREACHABLE', 'down'));
    };
    const outcome = expect(persist(step, options, signal.signal)).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
    await clock.run(10_000);
    await outcome;
    expect(at).toHaveLength(4);
    for (const [index, base] of [500, 1000, 2000].entries()) {
      const waited = at[index + 1]! - at[index]!;
      expect(waited).toBeGreaterThanOrEqual(base / 2);
      expect(waited).toBeLessThanOrEqual(base);
    }
    expect(clock.pending()).toBe(0);
  });

  it('starts anew where something moved', async () => {
    const { clock, options, signal } = open();
    let calls = 0;
    const step = async (): Promise<'on' | 'done'> => {
      calls++;
      if (calls === 20) return 'done';
      if (calls % 3 === 0) return 'on';
      throw new CoPilotError('STORAGE_BUSY', 'later');
    };
    const running = persist(step, options, signal.signal);
    await clock.run(100_000);
    await running;
    expect(calls).toBe(20);
  });

  it.each<ErrorCode>([
    'DIGEST_MISMATCH',
    'CAPABILITY_EXPIRED',
    'ATTEMPT_CLOSED',
    'QUOTA_EXCEEDED',
    'FILE_EXISTS',
    'NAME_REFUSED',
  ])('ends at once with %s', async (code) => {
    const { options, signal } = open();
    const running = persist(() => Promise.reject(new CoPilotError(code, 'no')), options, signal.signal);
    await expect(running).rejects.toMatchObject({ code });
  });

  it('ends with its signal, while it waits too, and leaves no timer', async () => {
    const { clock, options, signal } = open();
    const running = persist(
      () => Promise.reject(new CoPilotError('UNREACHABLE', 'down')),
      options,
      signal.signal,
    );
    const outcome = expect(running).rejects.toThrow('enough');
    await clock.run(100);
    signal.abort(new Error('enough'));
    await outcome;
    expect(clock.pending()).toBe(0);
  });
});

describe('memory transfers', () => {
  const capability = { verb: 'put', name: 'a', url: 'http://x.invalid/', token: 't' } as const;
  const facts = { size: 5, sha256: '0'.repeat(64) };

  it('move by the functions they were given, in the time they were told, and fail as asked', async () => {
    const clock = createManualClock();
    const moved: string[] = [];
    const transfers = createMemoryTransfers({
      clock,
      put: async ({ name }) => void moved.push(`put ${name}`),
      get: async ({ name }) => void moved.push(`get ${name}`),
      delayMs: ({ size }) => size,
    });
    const { signal } = new AbortController();
    const progress: number[] = [];
    const upload = transfers.upload('/x', capability, facts, signal, (bytes) => progress.push(bytes));
    await clock.run(4);
    expect(moved).toEqual([]);
    await clock.run(1);
    await upload;
    transfers.failNext('download', 'before');
    transfers.failNext('upload', 'after', 'STORAGE_FULL');
    const failing = [
      transfers.download(capability, '/x', facts, signal),
      transfers.upload('/x', capability, facts, signal),
    ];
    const outcomes = Promise.allSettled(failing);
    await clock.run(5);
    expect(await outcomes).toMatchObject([
      { reason: { code: 'UNREACHABLE' } },
      { reason: { code: 'STORAGE_FULL' } },
    ]);
    expect(moved).toEqual(['put a', 'put a']);
    expect(progress).toEqual([5]);
  });

  it('end with their signal', async () => {
    const clock = createManualClock();
    const nothing = (): Promise<void> => Promise.resolve();
    const transfers = createMemoryTransfers({ clock, put: nothing, get: nothing, delayMs: () => 1000 });
    const controller = new AbortController();
    const upload = transfers.upload('/x', capability, facts, controller.signal);
    controller.abort(new Error('drained'));
    await expect(upload).rejects.toThrow('drained');
    expect(clock.pending()).toBe(0);
  });
});
