import { lstat, opendir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DropPlaces } from './drop.ts';

/** How long a dropped campaign lies where its owner sees what became of it, and how many do at most, of each end. */
const KEPT_DROPS = { ms: 30 * 86_400_000, count: 10_000 } as const;

/** Folders removed in one step. */
const STEP = 64;

interface Old {
  readonly path: string;
  readonly endedMs: number;
}

/** Removes some of the campaigns that were accepted or refused long ago, or that are too many, oldest first. */
export async function removeOldDrops(
  { accepted, refused }: DropPlaces,
  nowMs: number,
  kept: { readonly ms: number; readonly count: number } = KEPT_DROPS,
): Promise<{ readonly more: boolean }> {
  let more = false;
  for (const place of [accepted, refused]) {
    const all = (await endsIn(place)).sort((a, b) => a.endedMs - b.endedMs);
    const old = all.filter(({ endedMs }, at) => nowMs - endedMs > kept.ms || all.length - at > kept.count);
    for (const { path } of old.slice(0, STEP)) await rm(path, { recursive: true, force: true });
    more ||= old.length > STEP;
  }
  return { more };
}

/** Whatever else lies there is not ours to remove. */
async function endsIn(place: string): Promise<Old[]> {
  const ends: Old[] = [];
  for await (const entry of await opendir(place)) {
    if (!entry.isDirectory()) continue;
    const path = join(place, entry.name);
    ends.push({ path, endedMs: (await lstat(path)).mtimeMs });
  }
  return ends;
}
