import { chmod, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Attempt } from '../../protocol/generated/types.ts';
import { openJobDirectory, removeJobDirectory } from '../executors/job-directory.ts';
import { syncDirectory, writeDurably } from '../../protocol/runtime/durable-file.ts';
import { decodeEntry, encodeEntry, MAX_ENTRY_BYTES } from './entry-codec.ts';
import { attemptKey } from './store.ts';
import type { Entry, Store } from './store.ts';
import { createWorkplace } from './workplace.ts';

export interface DiskStoreOptions {
  /** The agent's own directory. */
  readonly directory: string;
  /**
   * Jobs run under another uid, which must pass through here to its work directory: folders can then be entered by name, though
   * not listed; keys and journal stay readable to their owner only.
   */
  readonly isPassable: boolean;
}

const ENTRY_FILE = 'entry.json';
const ATTEMPT_NAME = /^([a-z2-7]{26})\.([1-9][0-9]{0,6})$/;

/** The store port on a disk: below `attempts` one directory for each attempt, with its entry and its files. */
export async function openDiskStore(options: DiskStoreOptions): Promise<Store> {
  const mode = options.isPassable ? 0o711 : 0o700;
  const attempts = join(options.directory, 'attempts');
  await mkdir(attempts, { recursive: true, mode });
  await chmod(options.directory, mode);
  await chmod(attempts, mode);

  const rootOf = (attempt: Attempt): string => join(attempts, attemptKey(attempt));

  async function openRoot(attempt: Attempt): Promise<string> {
    const root = await openJobDirectory(attempts, attemptKey(attempt));
    await chmod(root, mode);
    return root;
  }

  return {
    load: () => load(attempts),
    async save(entry) {
      const root = await openRoot(entry.lease);
      await writeDurably(join(root, ENTRY_FILE), encodeEntry(entry));
      if (entry.phase === 'leased') await syncDirectory(attempts);
    },
    remove: (attempt) => removeJobDirectory(rootOf(attempt)),
    async prepare(attempt) {
      const place = createWorkplace(await openRoot(attempt));
      await removeJobDirectory(place.directory);
      await removeJobDirectory(place.stdoutFile);
      await removeJobDirectory(place.stderrFile);
      await mkdir(place.directory, { mode: 0o700 });
      return place;
    },
    workplace: (attempt) => createWorkplace(rootOf(attempt)),
  };
}

async function load(attempts: string): ReturnType<Store['load']> {
  const entries: Entry[] = [];
  const corrupt: Attempt[] = [];
  for (const name of await readdir(attempts)) {
    const attempt = attemptOf(name);
    if (attempt === undefined) continue; // nothing of ours
    const entry = await readEntry(join(attempts, name, ENTRY_FILE), attempt);
    if (entry === undefined) corrupt.push(attempt);
    else entries.push(entry);
  }
  return { entries, corrupt };
}

function attemptOf(name: string): Attempt | undefined {
  const [, job, attempt] = ATTEMPT_NAME.exec(name) ?? [];
  return job === undefined || attempt === undefined ? undefined : { job, attempt: Number(attempt) };
}

/** Undefined where it is missing, unreadable, or speaks of another attempt. */
async function readEntry(path: string, attempt: Attempt): Promise<Entry | undefined> {
  try {
    const entry = decodeEntry(await readBounded(path));
    return attemptKey(entry.lease) === attemptKey(attempt) ? entry : undefined;
  } catch {
    return undefined; // the attempt is given back, which is all that can be done about it
  }
}

async function readBounded(path: string): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size > MAX_ENTRY_BYTES)
      throw new CoPilotError('MALFORMED_MESSAGE', 'the journal entry is over its bound');
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
