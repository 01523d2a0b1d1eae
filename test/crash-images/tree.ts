import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRebuilt } from './file-change.ts';
import type { Tree } from './power-cut.ts';

/** Reads a directory with all below it; sockets, and files that are made anew at every start, are left out. */
export async function readTree(directory: string): Promise<Tree> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const tree = new Map<string, Buffer | null>();
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(directory.length + 1);
    if (entry.isDirectory()) tree.set(name, null);
    else if (entry.isFile() && !isRebuilt(name)) tree.set(name, await readFile(path));
  }
  return tree;
}

/** Writes a tree below a directory that is made for it, for its owner's eyes only. */
export async function writeTree(directory: string, tree: Tree): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [name, bytes] of tree) {
    const path = join(directory, name);
    if (bytes === null) await mkdir(path, { recursive: true, mode: 0o700 });
    else if (!isRebuilt(name)) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFile(path, bytes, { mode: 0o600 });
    }
  }
}

/** Names whose bytes differ, or that only one of the two has. */
export function differences(one: Tree, other: Tree): readonly string[] {
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names].filter((name) => !isRebuilt(name) && !isSame(one.get(name), other.get(name))).sort();
}

function isSame(one: Buffer | null | undefined, other: Buffer | null | undefined): boolean {
  return one instanceof Buffer && other instanceof Buffer ? one.equals(other) : one === other;
}
