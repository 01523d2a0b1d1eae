import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../../protocol/errors.ts';
import { unlessMissing } from '../../protocol/runtime/unless-missing.ts';

/** Called between the copies of the two files of a database. */
export type BetweenFiles = () => Promise<void>;

const WAL_HEADER_BYTES = 32;
/** A copy is made again where the log was begun anew meanwhile, which is every some megabytes that are written. */
const MAX_TRIES = 20;

/**
 * Copies a database in SQLite's WAL mode that another program may hold for itself, straight from its files: first the database, then its
 * log. Pages that were moved from log to database meanwhile are in the log as well, as long as that was not begun anew, which its header
 * shows. So what is copied is what a crash at that moment would leave, and opening it mends it: one moment after the call, whole
 * transactions only. Rejects with `CONFLICT` where it is written to faster than it can be copied, `QUEUE_CORRUPT` where it is damaged.
 */
export async function copyDatabaseInUse(
  from: string,
  to: string,
  between: BetweenFiles = () => Promise.resolve(),
): Promise<void> {
  for (let tried = 0; tried < MAX_TRIES; tried += 1) {
    const before = await markOf(from);
    await copyPart(from, to);
    await between();
    if (existsSync(`${from}-wal`)) await copyPart(`${from}-wal`, `${to}-wal`).catch(unlessMissing);
    if ((await markOf(from)) === before) {
      await settle(to);
      return;
    }
    for (const file of [to, `${to}-wal`]) await rm(file, { force: true });
  }
  throw new CoPilotError('CONFLICT', `${from} changes faster than it can be copied; stop its program first`);
}

/** The beginning of the log; without one the database itself, which then changes only when it is opened or closed. */
async function markOf(path: string): Promise<string> {
  const header = await headerOf(`${path}-wal`);
  if (header !== '') return header;
  const { size, mtimeMs } = await stat(path);
  return `${size} ${mtimeMs}`;
}

/** Empty where there is no log, or an empty one. */
async function headerOf(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r');
    const { bytesRead, buffer } = await file.read(Buffer.alloc(WAL_HEADER_BYTES), 0, WAL_HEADER_BYTES, 0);
    return bytesRead < WAL_HEADER_BYTES ? '' : buffer.toString('hex');
  } catch (caught) {
    unlessMissing(caught);
    return '';
  }
}

function copyPart(from: string, to: string): Promise<void> {
  return pipeline(createReadStream(from), createWriteStream(to, { mode: 0o600 }));
}

/** Makes one file of both, and looks at all of it. */
async function settle(path: string): Promise<void> {
  const database = new DatabaseSync(path);
  try {
    const found = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
    if (found !== 'ok') throw new CoPilotError('QUEUE_CORRUPT', `${path}: ${String(found)}`);
    database.exec('PRAGMA journal_mode = DELETE');
  } catch (cause) {
    if (cause instanceof CoPilotError) throw cause;
    throw new CoPilotError('QUEUE_CORRUPT', `${path} is no database that can be read`, { cause });
  } finally {
    database.close();
  }
  for (const rest of ['-wal', '-shm']) await rm(`${path}${rest}`, { force: true });
  await using file = await open(path, 'r+');
  await file.sync();
}
