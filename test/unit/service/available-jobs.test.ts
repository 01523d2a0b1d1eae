import { beforeEach, describe, expect, it } from 'vitest';
import type { JobRow } from '../../../broker/core/state.ts';
import { createHostClasses, type HostClass } from '../../../broker/matching/host-class.ts';
import { type AvailableJobs, createAvailableJobs } from '../../../broker/service/available-jobs.ts';
import { accept, createWorld, hello, lease, release } from '../lease-machine/world.ts';
import { createRuntime, describe as description } from './service-parts.ts';

const hostClass = createHostClasses();
const small = hostClass({ MemoryMiB: 1_000 });
const large = hostClass({ MemoryMiB: 8_000 });
const forLarge = description({ requirements: 'other.MemoryMiB >= 4000' });
const forAll = description();
const MAX_PARKED = 4;

let jobs: AvailableJobs;
let heard: string[];

beforeEach(() => {
  jobs = createAvailableJobs(createRuntime(), MAX_PARKED);
  heard = [];
});

/** Sessions, by the key that waits in them. */
const holders = new Map<string, object>();

function holderOf(key: string): object {
  const holder = holders.get(key) ?? { key };
  holders.set(key, holder);
  return holder;
}

function park(key: string, host: HostClass, expiresMs = 1_000, counter = 1): boolean {
  const wake = (): void => void heard.push(`wake ${key} ${counter}`);
  const expire = (): void => void heard.push(`expire ${key} ${counter}`);
  return jobs.park({ key, counter, holder: holderOf(key), host, expiresMs, wake, expire });
}

/** A queued job's row; `lost` times it was leased and given back. */
function queued(id: string, change: { readonly priority?: number; readonly lost?: number } = {}): JobRow {
  const world = createWorld();
  world.do(hello('a'));
  world.do(accept(id, { priority: change.priority ?? 0 }));
  for (let attempt = 1; attempt <= (change.lost ?? 0); attempt++) {
    world.do(lease('a', id, 2 * attempt));
    world.do(release('a', id, attempt, 2 * attempt + 1));
  }
  return world.job(id);
}

async function offer(row: JobRow, what = forAll): Promise<void> {
  const bucket = jobs.bucketKeyOf(what, row.queue);
  await jobs.offer({ ...row, bucket }, async () => what);
}

describe('requests that wait', () => {
  it('are woken by a job they may run, the longest waiting first, one for each job', async () => {
    for (const key of ['a', 'b', 'c']) park(key, small);
    await offer(queued('j1'));
    expect(heard).toEqual(['wake a 1']);
    await offer(queued('j2'));
    expect(heard).toEqual(['wake a 1', 'wake b 1']);
    expect(jobs.parked).toBe(1);
  });

  it('go with the session they came by, so that no job is given to nobody', async () => {
    for (const key of ['a', 'b']) park(key, small);
    jobs.leave(holderOf('a'));
    jobs.leave(holderOf('a'));
    expect(jobs.parked).toBe(1);
    await offer(queued('j1'));
    expect(heard).toEqual(['wake b 1']);
    jobs.leave(holderOf('b'));
    expect(jobs.parked).toBe(0);
  });

  it('are left alone by a job that none of them may run', async () => {
    park('a', small);
    await offer(queued('j1'), forLarge);
    expect(heard).toEqual([]);
    park('b', large);
    await offer(queued('j2'), forLarge);
    expect(heard).toEqual(['wake b 1']);
    expect([jobs.take(small), jobs.take(large)?.job]).toEqual([undefined, 'j1']);
  });

  it('give way to a newer request of the same slot', async () => {
    park('a', small, 1_000, 1);
    park('a', large, 2_000, 2);
    expect([jobs.parked, jobs.parkedCounter('a'), jobs.parkedCounter('b')]).toEqual([1, 2, undefined]);
    await offer(queued('j1'));
    expect(heard).toEqual(['wake a 2']);
  });

  it('I9 are so many and no more; a newer one of a slot has its place', () => {
    const keys = ['a', 'b', 'c', 'd'];
    expect(keys.map((key) => park(key, small))).toEqual([true, true, true, true]);
    expect(park('e', small)).toBe(false);
    expect(park('a', large, 1_000, 2)).toBe(true);
    jobs.unpark('b');
    expect(park('e', small)).toBe(true);
    expect(jobs.parked).toBe(MAX_PARKED);
  });

  it('are answered when they have waited long enough, and no sooner', () => {
    park('a', small, 1_000);
    park('b', large, 2_000);
    jobs.expire(999);
    expect(heard).toEqual([]);
    jobs.expire(1_000);
    jobs.expire(1_000);
    expect(heard).toEqual(['expire a 1']);
    jobs.expire(5_000);
    expect(heard).toEqual(['expire a 1', 'expire b 1']);
    expect(jobs.parked).toBe(0);
  });

  it('that were woken in vain and wait again are answered by their own time', () => {
    park('a', small, 1_000);
    park('b', small, 2_000);
    jobs.unpark('a');
    park('a', small, 1_000);
    jobs.expire(1_000);
    expect(heard).toEqual(['expire a 1']);
  });

  it('hear nothing once they were taken back', async () => {
    park('a', small);
    expect(jobs.unpark('a')).toMatchObject({ key: 'a' });
    expect(jobs.unpark('a')).toBeUndefined();
    await offer(queued('j1'));
    jobs.expire(10_000);
    expect(heard).toEqual([]);
  });
});

describe('jobs that wait', () => {
  it('are taken by priority, then those that were lost, then in order', async () => {
    await offer(queued('j1'));
    await offer(queued('j2', { priority: 5 }));
    await offer(queued('j3'));
    await offer(queued('j4', { lost: 1 }));
    const taken = Array.from({ length: 5 }, () => jobs.take(small)?.job);
    expect(taken).toEqual(['j2', 'j4', 'j1', 'j3', undefined]);
    expect(jobs.waitingIn('local')).toBe(0);
  });

  it('that were withdrawn are not given out, and one that is offered twice is once', async () => {
    const row = queued('j1');
    await offer(row);
    await offer(row);
    expect(jobs.waitingIn('local')).toBe(1);
    jobs.withdraw(row);
    jobs.withdraw(row);
    expect([jobs.waitingIn('local'), jobs.take(small)]).toEqual([0, undefined]);
  });

  it('that are put back wake another request, and go to whoever asks next', async () => {
    await offer(queued('j1'));
    const waiting = jobs.take(small)!;
    park('b', small);
    jobs.putBack(waiting);
    expect(heard).toEqual(['wake b 1']);
    expect(jobs.take(small)?.job).toBe('j1');
  });

  it('are described again where the kind of job is not known any more', async () => {
    let described = 0;
    const row = { ...queued('j1'), bucket: 'of an earlier life of the broker' };
    await jobs.offer(row, async () => {
      described += 1;
      return forLarge;
    });
    expect([described, jobs.take(small), jobs.take(large)?.job]).toEqual([1, undefined, 'j1']);
    await jobs.offer({ ...row, id: 'j2' }, async () => undefined);
    expect(jobs.waitingIn('local')).toBe(0);
  });

  it('I9 are of any number of kinds, of which the oldest are forgotten and the jobs are not', async () => {
    for (let kind = 0; kind < 8_200; kind++)
      jobs.bucketKeyOf(description({ requirements: `other.Cpus > ${kind}` }), 'local');
    await offer(queued('j1'), forLarge);
    expect(jobs.take(large)?.job).toBe('j1');
  });
});
