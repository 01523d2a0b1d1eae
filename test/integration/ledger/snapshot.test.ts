import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { snapshotDatabase } from '../../../protocol/runtime/sqlite-snapshot.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const COPIES = 150;

describe('a copy of a database', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await temporaryDirectory('snapshot');
  });
  afterEach(() => removeDirectory(folder));

  it('comes about although its first step meets a transaction', async () => {
    const database = new DatabaseSync(join(folder, 'original.sqlite'));
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE job (id TEXT)');
    const insert = database.prepare('INSERT INTO job VALUES (?)');
    for (let copy = 1; copy <= COPIES; copy += 1) {
      // Its first step is taken in another thread, at any moment of what follows here.
      const copying = snapshotDatabase(database, join(folder, 'copy.sqlite'), () => undefined);
      database.exec('BEGIN');
      for (let row = 0; row < 50; row += 1) insert.run('a job');
      database.exec('COMMIT');
      await copying;
    }
    const copied = new DatabaseSync(join(folder, 'copy.sqlite'), { readOnly: true });
    const { jobs } = copied.prepare('SELECT count(*) AS jobs FROM job').get() ?? {};
    expect([COPIES * 50 - 50, COPIES * 50]).toContain(jobs);
    copied.close();
    database.close();
  });
});
