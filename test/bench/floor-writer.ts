/** The floor's thread: as many rows and bytes as the ledger writes, in groups, synced; nothing is read and nothing decided. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import type { FloorRows } from './floor-rows.ts';

const { path, rows, syncs, auditBytes } = workerData as {
  readonly path: string;
  readonly rows: FloorRows;
  readonly syncs: boolean;
  /** Of a cycle's audit records; none are written where it is 0. */
  readonly auditBytes: number;
};
const database = new DatabaseSync(path);
database.exec(`
  PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${syncs ? 'FULL' : 'OFF'}; PRAGMA wal_autocheckpoint = 16384;
  PRAGMA cache_size = -8192;
  CREATE TABLE job (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, row TEXT NOT NULL) STRICT;
  CREATE TABLE agent (id TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;
  CREATE TABLE audit (first INTEGER PRIMARY KEY, lines TEXT NOT NULL) STRICT;
`);
const insert = database.prepare('INSERT INTO job (id, row) VALUES (?, ?)');
const update = database.prepare('UPDATE job SET row = ? WHERE id = ?');
const upsert = database.prepare(
  'INSERT INTO agent (id, row) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET row = excluded.row',
);
const audit = database.prepare('INSERT INTO audit (lines) VALUES (?)');
let written = 0;

/** One message a group: a text of each cycle, as the main thread would send the outcome's making. */
parentPort?.on('message', (cycles: readonly string[]) => {
  database.exec('BEGIN IMMEDIATE');
  for (const text of cycles) write(text);
  if (auditBytes > 0) audit.run('a'.repeat(auditBytes * cycles.length));
  database.exec('COMMIT');
  parentPort?.postMessage(cycles.length);
});

function write(text: string): void {
  for (let at = 0; at < rows.inserts; at += 1) insert.run(String(++written), text);
  for (let at = 1; at <= rows.updates; at += 1) update.run(text, String(Math.max(1, written - 10 * at)));
  for (let at = 0; at < rows.upserts; at += 1) upsert.run(String((written + 33 * at) % 100), text);
}
