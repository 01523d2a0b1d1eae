import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CoPilotError } from '../../protocol/errors.ts';

/** Held by the one agent that works in a directory. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Throws `AGENT_IN_USE` where another process holds it: two agents with one key supersede each other until they are quarantined.
 * SQLite's own lock serves, since it ends with its process, however that ends.
 */
export function lockDirectory(directory: string): DirectoryLock {
  const database = new DatabaseSync(join(directory, 'lock.sqlite'), { timeout: 0 });
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; PRAGMA user_version = 1; COMMIT');
  } catch (cause) {
    database.close();
    throw new CoPilotError('AGENT_IN_USE', `another agent works in ${directory}`, { cause });
  }
  return { release: () => database.close() };
}
