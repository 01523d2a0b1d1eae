import { DatabaseSync } from 'node:sqlite';
import { CoPilotError } from '../../../protocol/errors.ts';

/** File of an adapter's own folder that whoever runs it holds locked; nothing is ever written into it. */
export const LOCK_FILE = 'lock.sqlite';

/**
 * Holds a folder for this program until the answer is called, or the process ends in whatever way: two that keep state in one would undo
 * each other's. Throws `QUEUE_IN_USE` where another one has it.
 */
export function holdFolder(path: string): () => void {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    throw new CoPilotError('QUEUE_IN_USE', `another program runs this adapter: ${path} is locked`, { cause });
  }
  return () => {
    if (database.isOpen) database.close();
  };
}
