import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeOldDrops } from '../../../adapters/jobs/local/intake/old-drops.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const NOW_MS = 1_800_000_000_000;
const KEPT = { ms: 1_000_000, count: 3 };

let directory: string;

beforeEach(async () => {
  directory = await temporaryDirectory('drops');
  for (const place of ['incoming', 'working', 'accepted', 'refused']) await mkdir(join(directory, place));
});
afterEach(() => removeDirectory(directory));

async function end(place: string, name: string, agoMs: number): Promise<void> {
  const path = join(directory, place, name);
  await mkdir(path);
  await writeFile(join(path, 'campaign.yaml'), 'name: x');
  const at = new Date(NOW_MS - agoMs);
  await utimes(path, at, at);
}

function remove(): Promise<{ readonly more: boolean }> {
  const places = Object.fromEntries(
    ['incoming', 'working', 'accepted', 'refused'].map((name) => [name, join(directory, name)]),
  ) as Record<'incoming' | 'working' | 'accepted' | 'refused', string>;
  return removeOldDrops(places, NOW_MS, KEPT);
}

const left = async (place: string): Promise<readonly string[]> =>
  (await readdir(join(directory, place))).sort();

it('campaigns that ended long ago are removed with their inputs, those under way never', async () => {
  for (const place of ['working', 'accepted', 'refused']) {
    await end(place, 'old', KEPT.ms + 1);
    await end(place, 'new', KEPT.ms - 1);
  }
  expect(await remove()).toEqual({ more: false });
  expect(await left('working')).toEqual(['new', 'old']);
  expect(await left('accepted')).toEqual(['new']);
  expect(await left('refused')).toEqual(['new']);
});

it('I9 of too many the oldest are removed, a bounded number at a time', async () => {
  for (let ago = 1; ago <= 70; ago += 1) await end('accepted', `c${ago}`, ago);
  expect(await remove()).toEqual({ more: true });
  expect(await remove()).toEqual({ more: false });
  expect(await left('accepted')).toEqual(['c1', 'c2', 'c3']);
});

it('a link is followed nowhere, and what is no folder is left alone', async () => {
  await end('working', 'kept', KEPT.ms + 1);
  await end('accepted', 'old', KEPT.ms + 1);
  await symlink(join(directory, 'working'), join(directory, 'accepted', 'old', 'link'));
  await symlink(join(directory, 'working'), join(directory, 'accepted', 'other'));
  await remove();
  expect(await left('accepted')).toEqual(['other']);
  expect(await left('working')).toEqual(['kept']);
});
