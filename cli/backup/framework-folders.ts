import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LOCK_FILE } from '../../adapters/jobs/kit/held-folder.ts';
import { unlessMissing } from '../../protocol/runtime/unless-missing.ts';
import { frameworkRolesIn } from '../installation.ts';
import { copyDatabaseInUse } from './database-in-use.ts';
import { copyDurably } from './durable-copy.ts';
import { isLocked } from './locked-file.ts';

/** Below an installation, and below a backup of it. */
export const FRAMEWORKS = 'frameworks';

const DATABASE = /\.sqlite$/;
const LOG = /^log(?:\.\d+)?$/;
/** Beginnings of files, and what a database has beside it while it is open. */
const PASSING = /(?:\.part|\.new|-wal|-shm|-journal)$/;

/**
 * Copies the folders of frameworks' adapters, of whatever kind, while those run. A database is copied as of one moment. Files are copied
 * before the databases and those that came meanwhile after them, so that a file that a database names is in the copy, unless it came and
 * went in between. Answers the paths below `to`.
 */
export async function copyFrameworkFolders(
  from: string,
  to: string,
  onProgress: (what: string, done: number, total: number) => void,
): Promise<readonly string[]> {
  const folders = await frameworkRolesIn(from);
  for (const [at, folder] of folders.entries()) {
    await copyFolder(join(from, folder), join(to, folder));
    onProgress('folders of frameworks', at + 1, folders.length);
  }
  const copied = await Promise.all(
    folders.map(async (folder) => (await filesIn(join(to, folder))).map((path) => join(folder, path))),
  );
  return copied.flat();
}

/** Files of frameworks' adapters that a program holds now. */
export async function heldInFrameworks(directory: string): Promise<readonly string[]> {
  const folders = await frameworkRolesIn(directory);
  const files = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(join(directory, folder)))
        .filter((name) => DATABASE.test(name))
        .map((name) => join(directory, folder, name)),
    ),
  );
  return files.flat().filter(isLocked);
}

async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  await copyNew(from, to);
  for (const path of (await filesIn(from)).filter((name) => DATABASE.test(name))) {
    await mkdir(dirname(join(to, path)), { recursive: true, mode: 0o700 });
    await copyDatabaseInUse(join(from, path), join(to, path));
  }
  await copyNew(from, to);
}

/** What is there and not in the copy, but for databases. What goes while it is copied is done with. */
async function copyNew(from: string, to: string): Promise<void> {
  for (const path of await filesIn(from)) {
    if (DATABASE.test(path) || existsSync(join(to, path))) continue;
    await copyDurably(join(from, path), join(to, path)).catch(unlessMissing);
  }
}

/** Paths below a folder of what is worth keeping: whole, plain files, and no logs. */
async function filesIn(folder: string, below = ''): Promise<readonly string[]> {
  const entries = await readdir(join(folder, below), { withFileTypes: true }).catch((caught: unknown) => {
    unlessMissing(caught);
    return [];
  });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(below, entry.name);
      if (entry.isDirectory()) return filesIn(folder, path);
      const isPassing = PASSING.test(entry.name) || path === LOCK_FILE || (below === '' && LOG.test(path));
      return entry.isFile() && !isPassing ? [path] : [];
    }),
  );
  return found.flat().toSorted();
}
