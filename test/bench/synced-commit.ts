import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { quantile } from './statistics.ts';

const ROW_BYTES = 1000;

/** Median of single-row commits, synced as the ledger syncs, in milliseconds. */
export function measureSyncedCommit(directory: string, seconds: number): number {
  const database = new DatabaseSync(join(directory, 'commit.sqlite'));
  try {
    database.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS job (seq INTEGER PRIMARY KEY, row TEXT NOT NULL) STRICT;',
    );
    const insert = database.prepare('INSERT INTO job (row) VALUES (?)');
    const row = 'r'.repeat(ROW_BYTES);
    const latenciesMs: number[] = [];
    const untilMs = performance.now() + seconds * 1000;
    for (let atMs = performance.now(); atMs < untilMs; ) {
      insert.run(row);
      const nowMs = performance.now();
      latenciesMs.push(nowMs - atMs);
      atMs = nowMs;
    }
    return quantile(latenciesMs, 0.5);
  } finally {
    database.close();
  }
}
