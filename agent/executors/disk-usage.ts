import type { Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';

/** What a directory tree takes. `isComplete` is false where the walk met a bound or something it may not look into. */
export interface DiskUsage {
  readonly mebibytes: number;
  readonly entries: number;
  readonly isComplete: boolean;
}

const maxDepth = 64;
const bytesPerBlock = 512;
const bytesPerMiB = 1_048_576;
const slash = Buffer.from('/');

const isGone = (caught: unknown): boolean =>
  caught instanceof Error && 'code' in caught && (caught.code === 'ENOENT' || caught.code === 'ENOTDIR');

async function lstatIfThere(path: Buffer): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (caught) {
    if (isGone(caught)) return undefined;
    throw caught;
  }
}

/**
 * Walks `directory` without following links, at most `maxEntries` entries and 64 levels. What vanishes during the walk does not
 * count; what cannot be looked into (a job may forbid its own directories) makes the answer incomplete.
 */
export async function measureDisk(directory: string, maxEntries: number): Promise<DiskUsage> {
  const pending = [{ path: Buffer.from(directory), depth: 0 }];
  let blocks = 0;
  let entries = 0;
  let isComplete = true;
  for (const { path, depth } of pending) {
    if (entries > maxEntries || depth > maxDepth)
      return { mebibytes: toMiB(blocks), entries, isComplete: false };
    try {
      // A name need not be text: read as Latin-1 every byte of it comes back.
      for await (const entry of await opendir(path, { encoding: 'latin1' })) {
        entries += 1;
        if (entries > maxEntries) break;
        const child = Buffer.concat([path, slash, Buffer.from(entry.name, 'latin1')]);
        const stat = await lstatIfThere(child);
        if (stat === undefined) continue;
        blocks += stat.blocks;
        if (stat.isDirectory()) pending.push({ path: child, depth: depth + 1 });
      }
    } catch (caught) {
      if (!isGone(caught)) isComplete = false;
    }
  }
  return { mebibytes: toMiB(blocks), entries, isComplete };
}

const toMiB = (blocks: number): number => (blocks * bytesPerBlock) / bytesPerMiB;
