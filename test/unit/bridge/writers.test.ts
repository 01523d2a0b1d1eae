import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../adapters/storage/bridge/limits.ts';
import { Quota } from '../../../adapters/storage/bridge/quota.ts';
import { Writers } from '../../../adapters/storage/bridge/writers.ts';

const first = { job: 'a'.repeat(26), attempt: 1 };
const second = { ...first, attempt: 2 };

describe('writers', () => {
  const open = (): Writers => new Writers({ ...DEFAULT_LIMITS, uploads: 6, uploadsPerAttempt: 4 });

  it('are one a file', () => {
    const writers = open();
    const writer = writers.acquire(first, 'a');
    expect(() => writers.acquire(first, 'a')).toThrow(expect.objectContaining({ code: 'UPLOAD_BUSY' }));
    writers.acquire(second, 'a');
    writer.release();
    writers.acquire(first, 'a');
  });

  it('are four an attempt, and so many in all', () => {
    const writers = open();
    for (const name of ['a', 'b', 'c', 'd']) writers.acquire(first, name);
    expect(() => writers.acquire(first, 'e')).toThrow(expect.objectContaining({ code: 'STORAGE_BUSY' }));
    writers.acquire(second, 'a');
    writers.acquire(second, 'b').release();
    writers.acquire(second, 'c');
    expect(() => writers.acquire(second, 'd')).toThrow(expect.objectContaining({ code: 'STORAGE_BUSY' }));
  });

  it('are ended, and waited for, before anybody is alone with the attempt; none begins meanwhile', async () => {
    const writers = open();
    const writer = writers.acquire(first, 'a');
    const log: string[] = [];
    const alone = writers.alone(first, async () => {
      log.push('alone');
      expect(() => writers.acquire(first, 'b')).toThrow(expect.objectContaining({ code: 'STORAGE_BUSY' }));
      await Promise.resolve();
      log.push('done');
    });
    const next = writers.alone(first, async () => void log.push('next'));
    expect(writer.signal.reason).toMatchObject({ code: 'ATTEMPT_CLOSED' });
    log.push('released');
    writer.release();
    await Promise.all([alone, next]);
    expect(log).toEqual(['released', 'alone', 'done', 'next']);
    writers.acquire(first, 'a');
  });

  it('keep a sweep away from an attempt in use', async () => {
    const writers = open();
    const writer = writers.acquire(first, 'a');
    const sweep = (): Promise<boolean> => writers.ifIdle(first, () => Promise.resolve());
    expect(await sweep()).toBe(false);
    writer.release();
    expect(await sweep()).toBe(true);
  });

  it('a failing action leaves the attempt free', async () => {
    const writers = open();
    await expect(writers.alone(first, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    writers.acquire(first, 'a');
  });
});

describe('quota', () => {
  const ceiling = { maxFileBytes: 100, maxAttemptBytes: 150, maxTotalBytes: 200, verbs: [] };
  const plenty = { max: 1000, total: 1000 };

  it('counts what is promised before it is there, and gives it back', () => {
    const quota = new Quota(ceiling, 50);
    const reservation = quota.reserve(first, 100, 0, plenty);
    expect(quota.usedBytes).toBe(150);
    expect(() => quota.reserve(second, 51, 0, plenty)).toThrow(
      expect.objectContaining({ code: 'STORAGE_FULL' }),
    );
    reservation.release();
    expect(quota.usedBytes).toBe(50);
    quota.reserve(second, 51, 0, plenty).keep();
    expect(quota.usedBytes).toBe(101);
  });

  it.each([
    ['the ceiling on a file', 101, 0, plenty],
    ['the ceiling on an attempt', 60, 91, plenty],
    ['the capability for a file', 11, 0, { max: 10, total: 1000 }],
    ['the grant of an attempt', 11, 10, { max: 1000, total: 20 }],
  ])('refuses more than %s (QUOTA_EXCEEDED)', (_what, bytes, stored, allowance) => {
    const quota = new Quota(ceiling, 0);
    expect(() => quota.reserve(first, bytes, stored, allowance)).toThrow(
      expect.objectContaining({ code: 'QUOTA_EXCEEDED' }),
    );
    expect(quota.usedBytes).toBe(0);
  });

  it('counts files of one attempt that come at the same time together', () => {
    const quota = new Quota(ceiling, 0);
    quota.reserve(first, 90, 0, plenty);
    expect(() => quota.reserve(first, 61, 0, plenty)).toThrow(
      expect.objectContaining({ code: 'QUOTA_EXCEEDED' }),
    );
    quota.reserve(second, 61, 0, plenty);
  });
});
