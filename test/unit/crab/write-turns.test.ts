import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWriteTurns, type WriteTurns } from '../../../adapters/jobs/crab/write-turns.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('writes that are gathered by turns of the loop', () => {
  let database: DatabaseSync;
  let turns: WriteTurns;
  let synced: (fault?: Error) => void;
  const write = (value: number): void => {
    turns.begin();
    database.prepare('INSERT INTO one VALUES (?)').run(value);
  };
  beforeEach(() => {
    database = new DatabaseSync(':memory:');
    database.exec('CREATE TABLE one (value INTEGER UNIQUE) STRICT');
    synced = () => undefined;
    turns = createWriteTurns(
      database,
      () =>
        new Promise((resolve, reject) => {
          synced = (fault) => (fault === undefined ? resolve() : reject(fault));
        }),
    );
  });
  afterEach(() => database.close());

  it('are one transaction, which ends with the turn', async () => {
    write(1);
    write(2);
    expect(database.isTransaction).toBe(true);
    await nextTurn();
    expect(database.isTransaction).toBe(false);
    expect(database.prepare('SELECT count(*) AS count FROM one').get()).toEqual({ count: 2 });
  });

  it('end before the log is synced, and wait while it is', async () => {
    write(1);
    const settled = turns.settle();
    expect(database.isTransaction).toBe(false);
    write(2);
    await nextTurn();
    await nextTurn();
    expect(database.isTransaction).toBe(true);
    synced();
    await settled;
    await nextTurn();
    expect(database.isTransaction).toBe(false);
  });

  it('tell whoever settles that something could not be kept, and go on', async () => {
    database.exec(`CREATE TABLE two (value INTEGER REFERENCES one (value) DEFERRABLE INITIALLY DEFERRED);
      PRAGMA foreign_keys = ON`);
    turns.begin();
    database.exec('INSERT INTO two VALUES (7)');
    await nextTurn();
    expect(database.isTransaction).toBe(false);
    await expect(turns.settle()).rejects.toThrow(/FOREIGN KEY/);
    write(1);
    const settled = turns.settle();
    synced();
    await settled;
    write(2);
    const failed = turns.settle();
    synced(new Error('no disk'));
    await expect(failed).rejects.toThrow('no disk');
    expect(database.prepare('SELECT count(*) AS count FROM one').get()).toEqual({ count: 2 });
  });
});
