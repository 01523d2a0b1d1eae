import { describe, expect, it } from 'vitest';
import { bucketOf } from '../../../broker/matching/bucket.ts';
import { createHostClasses } from '../../../broker/matching/host-class.ts';
import { Pool } from '../../../broker/matching/pool.ts';
import type { Description } from '../../../protocol/generated/types.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';

const crypto = createCrypto();
const sha256 = (data: Uint8Array): Uint8Array => crypto.sha256(data);

function description(requirements: string, memoryMiB = 100): Description {
  const limits = { wallSeconds: 60, memoryMiB, diskMiB: 10 };
  return { command: 'run', arguments: [], environment: {}, inputs: [], outputs: [], limits, requirements };
}

const any = bucketOf(sha256, 'main', description(''));
const linux = bucketOf(sha256, 'main', description('other.OpSys == "linux"'));
const big = bucketOf(sha256, 'main', description('', 10_000));
const hostOf = createHostClasses();
const linuxHost = hostOf({ OpSys: 'LINUX', MemoryMiB: 2000 });
const otherHost = hostOf({ OpSys: 'PLAN9', MemoryMiB: 2000 });

function waiting(job: string, priority = 0) {
  return { job, queue: 'main', owner: 'one', campaign: 'first', priority };
}

describe('pool of available jobs', () => {
  it('serves the highest priority first, then who has waited longest, over all buckets', () => {
    const pool = new Pool();
    pool.add(waiting('first'), any);
    pool.add(waiting('urgent', 5), linux);
    pool.add(waiting('second'), linux);
    const order = [1, 2, 3].map(() => pool.take(linuxHost)?.job);
    expect(order).toEqual(['urgent', 'first', 'second']);
    expect(pool.take(linuxHost)).toBeUndefined();
    expect(pool.size).toBe(0);
  });

  it('gives a host only what its ad satisfies, memory included', () => {
    const pool = new Pool();
    pool.add(waiting('needs-linux'), linux);
    pool.add(waiting('needs-memory'), big);
    expect(pool.take(otherHost)).toBeUndefined();
    expect(pool.take(linuxHost)?.job).toBe('needs-linux');
    expect(pool.take(linuxHost)).toBeUndefined();
    expect(pool.take(hostOf({}))?.job).toBe('needs-memory');
  });

  it('puts a job that was lost ahead of those that never ran, and one put back where it was', () => {
    const pool = new Pool();
    pool.add(waiting('fresh'), any);
    pool.add(waiting('fresher'), any);
    pool.add(waiting('lost'), any, true);
    const lost = pool.take(linuxHost);
    expect(lost?.job).toBe('lost');
    if (lost !== undefined) pool.putBack(lost, any);
    expect([1, 2, 3].map(() => pool.take(linuxHost)?.job)).toEqual(['lost', 'fresh', 'fresher']);
  });

  it('forgets what is removed, counts by queue, and takes a job twice only once', () => {
    const pool = new Pool();
    pool.add(waiting('a'), any);
    pool.add(waiting('a'), any);
    pool.add(waiting('b'), any);
    expect(pool.sizeOf('main')).toBe(2);
    pool.remove('a');
    pool.remove('a');
    expect(pool.sizeOf('main')).toBe(1);
    expect(pool.take(linuxHost)?.job).toBe('b');
    expect(pool.take(linuxHost)).toBeUndefined();
  });

  it('costs one look a bucket, however many jobs wait', () => {
    const pool = new Pool();
    for (let index = 0; index < 100_000; index += 1) pool.add(waiting(`job-${index}`), any);
    let evaluated = 0;
    const counting = { ...linuxHost, verdicts: new CountingMap(() => (evaluated += 1)) };
    for (let index = 0; index < 100; index += 1) pool.take(counting);
    expect(evaluated).toBeLessThanOrEqual(200);
  });
});

/** Counts how often a bucket is looked up. */
class CountingMap extends Map<string, boolean> {
  readonly #count: () => void;
  constructor(count: () => void) {
    super();
    this.#count = count;
  }
  override get(key: string): boolean | undefined {
    this.#count();
    return super.get(key);
  }
}
