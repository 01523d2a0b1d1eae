import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const BUSY = 5;

/** Whether a program has a database open for itself; false for one that is not there, or is damaged. */
export function isLocked(path: string): boolean {
  if (!existsSync(path)) return false;
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN IMMEDIATE; ROLLBACK');
    return false;
  } catch (caught) {
    return caught instanceof Error && 'errcode' in caught && (Number(caught.errcode) & 0xff) === BUSY;
  } finally {
    database.close();
  }
}
