import type { DatabaseSync } from 'node:sqlite';
import { CoPilotError } from '../../../protocol/errors.ts';
import { openOwnDatabase } from '../kit/own-database.ts';
import { TASKS_APPLICATION_ID, TASKS_MIGRATIONS } from './task-schema.ts';

/** Of the log before it goes into the file: 16 MiB. */
const LOG_PAGES = 4096;

/** The file of tasks in this version's form, which syncs nothing by itself. Throws one of the `QUEUE_…` codes. */
export function openTaskDatabase(path: string): DatabaseSync {
  return openOwnDatabase(path, (database) => prepare(database, path));
}

function prepare(database: DatabaseSync, path: string): void {
  database.exec('PRAGMA foreign_keys = ON');
  const { application_id: application } = database.prepare('PRAGMA application_id').get() ?? {};
  const { user_version: version } = database.prepare('PRAGMA user_version').get() ?? {};
  if (application !== TASKS_APPLICATION_ID && (application !== 0 || version !== 0))
    throw new CoPilotError('QUEUE_CORRUPT', `${path} is no file of CRAB tasks`);
  if (Number(version) > TASKS_MIGRATIONS.length)
    throw new CoPilotError('QUEUE_CORRUPT', `${path} was written by a later version of this program`);
  database.exec('BEGIN EXCLUSIVE');
  for (const step of TASKS_MIGRATIONS.slice(Number(version))) database.exec(step);
  database.exec(
    `PRAGMA application_id = ${TASKS_APPLICATION_ID}; PRAGMA user_version = ${TASKS_MIGRATIONS.length}; COMMIT`,
  );
  database.exec(`PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = ${LOG_PAGES}`);
}
