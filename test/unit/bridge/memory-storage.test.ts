import { describe, expect, it } from 'vitest';
import { createMemoryStorage } from '../../../adapters/storage/memory.ts';
import type { MemoryStorage } from '../../../adapters/storage/memory.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { storageConformance } from '../../conformance/storage.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const crypto = createCrypto();
const ceiling = {
  maxFileBytes: 10_000,
  maxAttemptBytes: 20_000,
  maxTotalBytes: 30_000,
  verbs: ['get', 'put'],
} as const;
const attempt = { job: 'a'.repeat(26), attempt: 1 };

storageConformance('memory', async () => {
  const clock = createManualClock();
  const storage = createMemoryStorage({ clock, crypto, ceiling });
  return {
    adapter: storage,
    ceiling,
    jkt: 'k'.repeat(43),
    nowSeconds: () => clock.wallMs() / 1000,
    upload: (ref, capability, bytes) => storage.put(ref, capability.token, capability.name, bytes),
    async restart() {
      storage.crash();
      storage.restart();
    },
    close: () => Promise.resolve(),
  };
});

describe('memory storage', () => {
  const open = (delayMs = 0): { storage: MemoryStorage; clock: ReturnType<typeof createManualClock> } => {
    const clock = createManualClock();
    return { clock, storage: createMemoryStorage({ clock, crypto, ceiling, delayMs: () => delayMs }) };
  };
  const mint = async (storage: MemoryStorage, nowMs: number, name = 'a'): Promise<string> => {
    const iat = nowMs / 1000;
    const put = [{ name, maxBytes: 10_000 }];
    const [minted] = await storage.mint({
      iss: 'test',
      ...attempt,
      jkt: 'k'.repeat(43),
      get: [],
      put,
      totalBytes: 20_000,
      iat,
      exp: iat + 3600,
    });
    return minted!.token;
  };
  const junk = { size: 10, sha256: '1'.repeat(64) };

  it('ends a capability with its time, at most 15 minutes (I6)', async () => {
    const { storage, clock } = open();
    const token = await mint(storage, clock.wallMs());
    clock.advance(899_000);
    await storage.put(attempt, token, 'a', junk);
    clock.advance(1_000);
    await expect(storage.put(attempt, token, 'a', junk)).rejects.toMatchObject({
      code: 'CAPABILITY_EXPIRED',
    });
  });

  it.each([
    ['CAPABILITY_INVALID', { token: 'memory.put.99' }],
    ['CAPABILITY_WRONG_ATTEMPT', { ref: { ...attempt, attempt: 2 } }],
    ['CAPABILITY_WRONG_ATTEMPT', { ref: { job: 'b'.repeat(26), attempt: 1 } }],
    ['CAPABILITY_WRONG_FILE', { name: 'b' }],
  ])('refuses with %s', async (code, wrong: { token?: string; ref?: typeof attempt; name?: string }) => {
    const { storage, clock } = open();
    const token = await mint(storage, clock.wallMs());
    const put = storage.put(wrong.ref ?? attempt, wrong.token ?? token, wrong.name ?? 'a', junk);
    await expect(put).rejects.toMatchObject({ code });
  });

  it('is full when all is used, and has room again once an attempt is discarded', async () => {
    const { storage, clock } = open();
    for (const number of [1, 2, 3]) {
      const ref = { job: 'd'.repeat(26), attempt: number };
      const iat = clock.wallMs() / 1000;
      const put = [{ name: 'a', maxBytes: 10_000 }];
      const [minted] = await storage.mint({
        iss: 'test',
        ...ref,
        jkt: 'k'.repeat(43),
        get: [],
        put,
        totalBytes: 20_000,
        iat,
        exp: iat + 3600,
      });
      await storage.put(ref, minted!.token, 'a', { size: 10_000, sha256: '2'.repeat(64) });
    }
    const token = await mint(storage, clock.wallMs());
    await expect(storage.put(attempt, token, 'a', junk)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    await storage.discard({ job: 'd'.repeat(26), attempt: 2 });
    await storage.put(attempt, token, 'a', junk);
    expect(storage.files(attempt)).toEqual([{ name: 'a', ...junk }]);
  });

  it('fails before an effect or after it, as asked, once', async () => {
    const { storage } = open();
    storage.failNext('finalise', 'before');
    storage.failNext('finalise', 'after', 'INTERNAL');
    await expect(storage.finalise(attempt, [])).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(storage.registered(attempt.job)).toBeUndefined();
    await expect(storage.finalise(attempt, [])).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(storage.registered(attempt.job)).toEqual({ attempt: 1, files: [] });
    await storage.finalise(attempt, []);
  });

  it('a crash ends the calls under way without effect, and all others until the restart', async () => {
    const { storage, clock } = open(10);
    const underWay = storage.finalise(attempt, []);
    storage.crash();
    storage.restart();
    clock.advance(10);
    await expect(underWay).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(storage.registered(attempt.job)).toBeUndefined();
    storage.crash();
    const whileDown = storage.verify(attempt, []);
    clock.advance(10);
    await expect(whileDown).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});
