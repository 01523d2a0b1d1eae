import { DatabaseSync } from 'node:sqlite';
import { CoPilotError } from '../../../protocol/errors.ts';

const SQLITE_BUSY = 5;

/**
 * Opens a database of SQLite for this process alone, with a log beside it, and makes it ready. Throws what `prepare` does where that is a
 * `CoPilotError`, else `QUEUE_IN_USE` where another program has it, `QUEUE_UNAVAILABLE` where it cannot be opened.
 */
export function openOwnDatabase(path: string, prepare: (database: DatabaseSync) => void): DatabaseSync {
  try {
    const database = new DatabaseSync(path, { timeout: 0 });
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL');
    prepare(database);
    return database;
  } catch (cause) {
    if (cause instanceof CoPilotError) throw cause;
    const isBusy =
      cause instanceof Error && 'errcode' in cause && Number(cause.errcode) % 256 === SQLITE_BUSY;
    throw isBusy
      ? new CoPilotError('QUEUE_IN_USE', `another program has ${path} open; stop it first`, { cause })
      : new CoPilotError('QUEUE_UNAVAILABLE', `${path} cannot be opened`, { cause });
  }
}
