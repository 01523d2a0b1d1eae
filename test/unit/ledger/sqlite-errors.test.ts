import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LedgerFault, ledgerError } from '../../../broker/ledger/sqlite-errors.ts';
import { openSqliteStore } from '../../../broker/ledger/sqlite-store.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { accept, hello, lease } from '../lease-machine/world.ts';

const PATH = '/data/ledger.sqlite';
const ofSqlite = (errcode: number) => Object.assign(new Error('as SQLite says'), { errcode });
const ofSystem = (code: string) => Object.assign(new Error('as the system says'), { code, syscall: 'open' });

describe('a fault of the file', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['SQLITE_BUSY', ofSqlite(5), 'LEDGER_IN_USE', /stop that one/],
    ['SQLITE_LOCKED', ofSqlite(6), 'LEDGER_IN_USE', /stop that one/],
    ['SQLITE_CORRUPT', ofSqlite(11), 'LEDGER_CORRUPT', /aside/],
    ['SQLITE_CORRUPT_INDEX', ofSqlite(11 | (3 << 8)), 'LEDGER_CORRUPT', /aside/],
    ['SQLITE_NOTADB', ofSqlite(26), 'LEDGER_CORRUPT', /aside/],
    ['SQLITE_FULL', ofSqlite(13), 'LEDGER_FULL', /free some/],
    ['SQLITE_IOERR', ofSqlite(10), 'LEDGER_UNAVAILABLE', /check the disk/],
    ['SQLITE_IOERR_FSYNC', ofSqlite(10 | (4 << 8)), 'LEDGER_UNAVAILABLE', /check the disk/],
    ['ENOSPC', ofSystem('ENOSPC'), 'LEDGER_FULL', /free some/],
    ['EACCES', ofSystem('EACCES'), 'LEDGER_UNAVAILABLE', /check the disk/],
    ['a newer version', new LedgerFault('UNSUPPORTED', 'version 9'), 'UNSUPPORTED', /run the newer one/],
    ['a foreign file', new LedgerFault('LEDGER_CORRUPT', 'not ours'), 'LEDGER_CORRUPT', /aside/],
  ])('%s has its code, its path and the next step', (_what, caught, code, step) => {
    const error = ledgerError(caught, PATH);
    expect(error).toMatchObject({ code, cause: caught, message: expect.stringMatching(step) });
    expect(error.message).toContain(PATH);
  });

  it.each([[new TypeError('no such method')], ['a text']])(
    'what is our own fault is INTERNAL: %s',
    (caught) => {
      expect(ledgerError(caught, PATH)).toMatchObject({ code: 'INTERNAL', cause: caught });
    },
  );

  it('what has a code of ours keeps it', () => {
    const error = new CoPilotError('LEDGER_FULL', 'full');
    expect(ledgerError(error, PATH)).toBe(error);
  });
});

describe('a store', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'co-pilot-store-'));
    path = join(folder, 'ledger.sqlite');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('that is full fails the group whole, and goes on once there is room', () => {
    const store = openSqliteStore(path);
    store.apply([hello('a'), accept('j1')], 0);
    const pages = Number(store.database.prepare('PRAGMA page_count').get()?.page_count);
    store.database.exec(`PRAGMA max_page_count = ${pages + 1}`);
    const big = { description: 'x'.repeat(9_000) };
    const group = [lease('a', 'j1', 1), accept('j2', big), accept('j3', big)];
    expect(() => store.apply(group, 0)).toThrow(expect.objectContaining({ code: 'LEDGER_FULL' }));
    expect([store.job('j1')?.job.state, store.job('j2')]).toEqual(['queued', undefined]);
    store.database.exec('PRAGMA max_page_count = 100000');
    expect(store.apply(group, 0).map(({ kind }) => kind)).toEqual(['leased', 'accepted', 'accepted']);
    store.close(0);
    store.close(0);
  });

  it('with a row that is no JSON says nothing more until it is opened again', () => {
    const store = openSqliteStore(path);
    store.apply([accept('j1'), accept('j2')], 0);
    store.close(0);
    const damaged = openSqliteStore(path);
    damaged.database.exec("UPDATE job SET row = '{' WHERE id = 'j1'");
    const corrupt = expect.objectContaining({ code: 'LEDGER_CORRUPT' });
    expect(() => damaged.job('j1')).toThrow(corrupt);
    expect(() => damaged.job('j2')).toThrow(corrupt);
    damaged.database.close();
  });

  it.each([
    ['of a newer version', 'PRAGMA user_version = 99', 'UNSUPPORTED'],
    ['of another program', 'PRAGMA application_id = 7', 'LEDGER_CORRUPT'],
  ])('%s is not opened', (_what, change, code) => {
    openSqliteStore(path).close(0);
    const database = new DatabaseSync(path);
    database.exec(change);
    database.close();
    expect(() => openSqliteStore(path)).toThrow(expect.objectContaining({ code }));
  });
});
