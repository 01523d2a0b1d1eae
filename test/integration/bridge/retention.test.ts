import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createNodeDisk } from '../../../adapters/storage/bridge/disk.ts';
import { expireAttempts, type ExpireParts, FRONT } from '../../../adapters/storage/bridge/expire.ts';
import { DEFAULT_LIMITS } from '../../../adapters/storage/bridge/limits.ts';
import { createPlaces } from '../../../adapters/storage/bridge/places.ts';
import { Quota } from '../../../adapters/storage/bridge/quota.ts';
import { openRegistry } from '../../../adapters/storage/bridge/registry.ts';
import { Writers } from '../../../adapters/storage/bridge/writers.ts';
import { attemptOf, CEILING } from '../../doubles/bridge-world.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const DAY_MS = 86_400_000;
const RETENTION = { unfinishedMs: 14 * DAY_MS, discardedMs: 100 * DAY_MS };
const jobOf = (at: number): string => String.fromCharCode(97 + at).repeat(26);

let directory: string;
let clock: ManualClock;
let parts: ExpireParts;

beforeEach(async () => {
  directory = await temporaryDirectory('retention');
  clock = createManualClock();
  const disk = createNodeDisk();
  const places = createPlaces(directory);
  await disk.makeDirectory(places.attempts);
  parts = {
    clock,
    disk,
    log: silentLog,
    places,
    quota: new Quota(CEILING, 0),
    registry: openRegistry({ path: places.registry }),
    writers: new Writers(DEFAULT_LIMITS),
  };
});
afterEach(async () => {
  parts.registry.close();
  await removeDirectory(directory);
});

async function store(job: string): Promise<void> {
  const ref = attemptOf(job);
  await parts.disk.makeDirectory(parts.places.attempt(ref));
  const file = await parts.disk.open(parts.places.file(ref, 'a'), 'create');
  await file.write(new Uint8Array(10), 0);
  await file.close();
  parts.quota.reserve(ref, 10, 0, { max: 10, total: 10 }).keep();
  const stored = { name: 'a', size: 10, sha256: '0'.repeat(64), isComplete: true, digests: {} };
  await parts.registry.write((tables) => tables.putFile(ref, stored, clock.wallMs()));
}
const settle = (job: string, state: 'closed' | 'registered' | 'discarded'): Promise<void> =>
  parts.registry.write((tables) => tables.setState(attemptOf(job), state, clock.wallMs()));
const expire = (limit = 100) => expireAttempts(parts, RETENTION, { open: FRONT, settled: FRONT }, limit);

it('files nobody asked about for long go; a result, a commit under way and what is young stay', async () => {
  const [open, closed, result, young] = [0, 1, 2, 3].map(jobOf) as [string, string, string, string];
  for (const job of [open, closed, result]) await store(job);
  await settle(closed, 'closed');
  await settle(result, 'registered');
  clock.advance(15 * DAY_MS);
  await store(young);
  expect(await expire()).toEqual({ removed: 1, more: false });
  expect(parts.registry.tables.files(attemptOf(open))).toEqual([]);
  expect(parts.quota.usedBytes).toBe(30);
  const kept = await readdir(join(directory, 'attempts'), { recursive: true });
  expect(kept.filter((path) => path.length > 60).map((path) => path.slice(0, 26))).toEqual(
    expect.arrayContaining([closed, result, young]),
  );
  expect(kept.filter((path) => path.length > 60)).toHaveLength(3);
});

it('an upload that is under way is never taken from under its writer', async () => {
  await store(jobOf(0));
  clock.advance(15 * DAY_MS);
  const writer = parts.writers.acquire(attemptOf(jobOf(0)), 'b');
  expect(await expire()).toMatchObject({ removed: 0 });
  writer.release();
  expect(await expire()).toMatchObject({ removed: 1 });
});

it('that an attempt was discarded is remembered for long, and not for ever; a result is for good', async () => {
  await settle(jobOf(0), 'discarded');
  await settle(jobOf(1), 'registered');
  clock.advance(99 * DAY_MS);
  await expire();
  expect(parts.registry.tables.state(attemptOf(jobOf(0)))).toBe('discarded');
  clock.advance(2 * DAY_MS);
  await expire();
  expect(parts.registry.tables.state(attemptOf(jobOf(0)))).toBe('open');
  expect(parts.registry.tables.state(attemptOf(jobOf(1)))).toBe('registered');
});

it('looks at a bounded number of attempts at once, and comes around', async () => {
  for (let at = 0; at < 5; at += 1) await store(jobOf(at));
  clock.advance(15 * DAY_MS);
  const place = { open: FRONT, settled: FRONT };
  const removed: number[] = [];
  let more = true;
  while (more) {
    const step = await expireAttempts(parts, RETENTION, place, 2);
    removed.push(step.removed);
    more = step.more;
  }
  expect(removed).toEqual([2, 2, 1]);
  expect(parts.quota.usedBytes).toBe(0);
});
