import { lstat, opendir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { outputNameParts } from '../executors/output-name.ts';

const MAX_ENTRIES = 20_000;
const MAX_DEPTH = 16;

/**
 * Moves files of these names from anywhere below `store` up into `directory`, where none of that name is yet. Follows no link and takes only
 * plain files; looks at 20,000 entries and 16 levels at most. For the time after the job: nothing else may be at work in there.
 */
export async function gatherOutputs(
  directory: string,
  store: string,
  names: readonly string[],
): Promise<void> {
  const wanted = new Set(names.filter((name) => outputNameParts(name)?.length === 1));
  for (const name of [...wanted]) if (await exists(join(directory, name))) wanted.delete(name);
  if (wanted.size === 0 || !(await isDirectory(store))) return;
  for await (const { path, name } of files(store)) {
    if (!wanted.delete(name)) continue;
    await rename(path, join(directory, name));
    if (wanted.size === 0) return;
  }
}

/** Plain files below a directory, level by level and by name, so that the same tree always gives the same. */
async function* files(top: string): AsyncGenerator<{ readonly path: string; readonly name: string }> {
  let left = MAX_ENTRIES;
  let level = [top];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const below: string[] = [];
    for (const directory of level) {
      const entries = await entriesOf(directory, left);
      left -= entries.length;
      for (const entry of entries) {
        const path = join(directory, entry.name);
        if (entry.isDirectory()) below.push(path);
        else if (entry.isFile()) yield { path, name: entry.name };
      }
    }
    level = below;
  }
}

async function entriesOf(directory: string, most: number) {
  const entries = [];
  for await (const entry of await opendir(directory)) {
    if (entries.length >= most) break;
    entries.push(entry);
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() ?? false;
}
