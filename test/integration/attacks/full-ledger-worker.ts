/** The ledger's thread on a disk that is full while the file `<ledger>.full` is there: SQLite may then take no further page. */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

const UNBOUNDED = 2 ** 30;
const opened = new Set<DatabaseSync>();
const exec = Reflect.get(DatabaseSync.prototype, 'exec');

Object.assign(DatabaseSync.prototype, {
  exec(this: DatabaseSync, sql: string): void {
    opened.add(this);
    exec.call(this, sql);
  },
});

// Before the thread's own listener, at every question.
parentPort?.on('message', () => {
  // A bound below what the file has by now means: not one page more.
  const pages = existsSync(`${String(workerData)}.full`) ? 1 : UNBOUNDED;
  for (const database of opened) if (database.isOpen) exec.call(database, `PRAGMA max_page_count = ${pages}`);
});

await import('../../../broker/ledger/sqlite-worker.ts');
