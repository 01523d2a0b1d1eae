import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkLedger, type LedgerCheck } from '../../../broker/ledger/check-ledger.ts';
import { reconcileLedger } from '../../../broker/ledger/restored-ledger.ts';
import { openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import { openSqliteStore } from '../../../broker/ledger/sqlite-store.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import {
  accept,
  cancel,
  finalised,
  hello,
  lease,
  report,
  told,
  verified,
} from '../../unit/lease-machine/world.ts';
import { SILENT } from './ledger-file.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await temporaryDirectory('keeping');
  path = join(folder, 'ledger.sqlite');
});
afterEach(() => removeDirectory(folder));

const ignore = (): void => undefined;

/** One job in each place: told, committing, leased, queued, cancelled and told. */
function fill(): void {
  const store = openSqliteStore(path);
  store.apply([hello('a'), ...['done', 'late', 'live', 'new', 'gone'].map((job) => accept(job))], 1);
  store.apply([lease('a', 'done', 1), report('a', 'done', 1, 2), verified('done', 1)], 2);
  store.apply([finalised('done', 1), told('done'), cancel('gone'), told('gone')], 3);
  store.apply([lease('a', 'late', 3), report('a', 'late', 1, 4), verified('late', 1)], 4);
  store.apply([lease('a', 'live', 5)], 5);
  store.close(6);
}

function check(): LedgerCheck {
  return checkLedger(path, ignore);
}

function change(sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

describe('a copy of a ledger', () => {
  it('is taken while groups are written, has whole groups, and all that was acknowledged before', async () => {
    const ledger = await openSqliteLedger({ path, clock: createManualClock(), log: SILENT });
    await ledger.apply(Array.from({ length: 3_000 }, (_, at) => accept(`before-${at}`)));
    let copied = false;
    let written = 0;
    const progress: number[] = [];
    const copying = ledger
      .snapshot(join(folder, 'copy.sqlite'), ({ donePages }) => progress.push(donePages))
      .finally(() => {
        copied = true;
      });
    while (!copied) {
      await ledger.apply([accept(`twin-${written}-a`), accept(`twin-${written}-b`)]);
      written += 1;
    }
    await copying;
    await ledger.close();
    path = join(folder, 'copy.sqlite');
    const found = check();
    expect(found).toMatchObject({ faults: [], faultCount: 0 });
    expect(found.jobs).toBeGreaterThanOrEqual(3_000);
    expect(found.jobs % 2).toBe(0);
    expect(progress.length).toBeGreaterThan(1);
    expect(progress).toEqual(progress.toSorted((one, other) => one - other));
  });

  it('cannot be had of a ledger that is closed, nor where there is no such place', async () => {
    const ledger = await openSqliteLedger({ path, clock: createManualClock(), log: SILENT });
    await expect(ledger.snapshot(join(folder, 'no', 'copy'), ignore)).rejects.toMatchObject({
      code: expect.stringMatching(/^LEDGER_|INTERNAL/),
    });
    await ledger.apply([accept('still')]);
    await ledger.close();
    await expect(ledger.snapshot(join(folder, 'copy'), ignore)).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
    });
  });
});

describe('the check of a ledger', () => {
  it('counts what it read, and finds nothing wrong with a sound one', async () => {
    fill();
    const before = await stat(path);
    const told: number[] = [];
    expect(checkLedger(path, ({ doneRows }) => told.push(doneRows))).toMatchObject({
      version: 5,
      jobs: 5,
      agents: 1,
      owners: 1,
      faults: [],
    });
    expect(told.at(-1)).toBe(check().jobs + 1 + 1 + countOf('audit'));
    expect((await stat(path)).mtimeMs).toBe(before.mtimeMs);
  });

  it('finds agents counted that nobody had counted before this version, and one that is wrong', async () => {
    fill();
    const store = openSqliteStore(path);
    store.apply([hello('b', 's1', 'owner-a'), hello('c', 's1', 'owner-c')], 7);
    store.apply([{ kind: 'revoke', agent: 'b', reason: 'gone' }], 8);
    store.close(9);
    change(`UPDATE agent SET row = json_remove(row, '$.place'); UPDATE owner SET row = json_remove(row, '$.agents');
      UPDATE job SET row = json_remove(row, '$.events'); DROP TABLE account; PRAGMA user_version = 2;`);
    expect(check()).toMatchObject({ version: 2, faults: [] });
    openSqliteStore(path).close(10);
    expect(check()).toMatchObject({ version: 5, faults: [] });
    change("UPDATE owner SET row = json_set(row, '$.agents', 7) WHERE id = 'owner-a'");
    expect(check().faults).toEqual(['I9 owner owner-a counts 7 agents, has 1']);
  });

  it('a ledger of an earlier version is brought to this one: no job has events yet', () => {
    fill();
    change(`UPDATE job SET row = json_remove(row, '$.events'); DROP TABLE account; PRAGMA user_version = 3;`);
    expect(check()).toMatchObject({ version: 3, faults: [] });
    const store = openSqliteStore(path);
    expect(['new', 'live', 'late', 'done'].map((id) => store.job(id)?.job.events)).toEqual([0, 0, 0, 0]);
    store.close(10);
    expect(check()).toMatchObject({ version: 5, faults: [] });
    change("UPDATE job SET row = json_set(row, '$.events', 5) WHERE id = 'live'");
    expect(check().faults).toEqual(['I5 events of a result that does not count (job live)']);
  });

  function countOf(table: string): number {
    const database = new DatabaseSync(path, { readOnly: true });
    const { size } = database.prepare(`SELECT count(*) AS size FROM ${table}`).get()!;
    database.close();
    return Number(size);
  }

  it.each([
    [
      'a column that says another state',
      "UPDATE job SET state = 'queued' WHERE id = 'live'",
      'the column says queued',
    ],
    [
      'a deadline that is not the row’s',
      "UPDATE job SET deadline = 1 WHERE id = 'live'",
      'its deadline is wrong',
    ],
    ['a duty that nobody sees', "UPDATE job SET duty = 0 WHERE id = 'late'", 'duties is wrong'],
    ['a row that is no JSON', "UPDATE job SET row = '{' WHERE id = 'new'", 'it is no JSON'],
    ['a row under another id', "UPDATE job SET id = 'x' WHERE id = 'new'", 'its row is that of new'],
    ['a job without description', 'DELETE FROM description WHERE seq = 4', 'it has no description'],
    ['a job that went', "DELETE FROM job WHERE id = 'live'", 'I2 held without right'],
    ['a holder that went', "DELETE FROM agent WHERE id = 'a'", 'I2 missing from the list'],
    [
      'an owner who counts wrongly',
      'UPDATE owner SET row = replace(row, \'"live":1\', \'"live":7\')',
      'counts 7 live',
    ],
    ['an agent’s row that is no JSON', "UPDATE agent SET row = 'x'", 'agent a: it is no JSON'],
    [
      'a record that went from the log',
      'DELETE FROM audit WHERE first = (SELECT min(first) + 0 FROM audit WHERE first > 1)',
      'the audit log goes on',
    ],
    [
      'the end of the log cut off',
      'DELETE FROM audit WHERE first = (SELECT max(first) FROM audit)',
      'the next is said to be',
    ],
    [
      'a log that counts wrongly',
      'UPDATE audit SET count = count + 1 WHERE first = 1',
      'counts its records wrongly',
    ],
    [
      'a commit that the log does not know',
      'UPDATE audit SET lines = replace(lines, \'"commit"\', \'"verdict"\')',
      'has no commit of attempt 1',
    ],
    [
      'a commit of another attempt',
      'UPDATE audit SET lines = replace(lines, \'"commit","job":"done","attempt":1\', \'"commit","job":"done","attempt":2\')',
      'I3 job done',
    ],
    [
      'counts that are not those of the rows',
      'UPDATE meta SET value = replace(value, \'"queued":1\', \'"queued":9\')',
      'the ledger counts 9',
    ],
  ])('finds %s', (_what, sql, told) => {
    fill();
    change(sql);
    const { faults, faultCount } = check();
    expect(faultCount).toBe(faults.length);
    expect(faults.join('\n')).toContain(told);
  });

  it('bounds what it tells, and counts all', () => {
    const store = openSqliteStore(path);
    store.apply(
      Array.from({ length: 150 }, (_, at) => accept(`j${at}`)),
      1,
    );
    store.close(1);
    change('DELETE FROM description');
    expect(check()).toMatchObject({ faults: { length: 100 } });
    expect(check().faultCount).toBeGreaterThanOrEqual(150);
  });

  it('says of a file that is no ledger what opening it says', () => {
    change('CREATE TABLE other (x)');
    expect(check).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
  });
});

describe('a ledger that is put back', () => {
  it('tells again what the framework forgot, uses no attempt number twice (I1), and is sound', () => {
    fill();
    expect(reconcileLedger(path, (job) => job === 'gone')).toEqual({ retold: 1, renumbered: 3 });
    expect(check()).toMatchObject({ faults: [], jobs: 5 });
    const store = openSqliteStore(path);
    const done = store.job('done')!;
    expect(done.job).toMatchObject({ state: 'committed', told: false });
    expect(done.duties).toEqual([{ kind: 'tell' }]);
    expect(store.job('gone')?.job).toMatchObject({ state: 'cancelled', told: true });
    expect(store.job('late')?.duties).toEqual([{ kind: 'finalise', attempt: 1 }]);
    expect(store.count()).toMatchObject({ committed: 1, queued: 1 });
    store.apply([lease('a', 'new', 6)], 10);
    expect(store.job('new')?.job.attempts.map(({ number }) => number)).toEqual([101]);
    expect(done.job.events).toBe(0);
    store.apply([told('done', 'ok', '', 40), told('done', 'ok', '', 41)], 11);
    expect(store.job('done')?.job).toMatchObject({ state: 'told', told: true, events: 40 });
    store.close(12);
    expect(check().faults).toEqual([]);
  });

  it('is left as it is where all are told', () => {
    fill();
    expect(reconcileLedger(path, () => true)).toMatchObject({ retold: 0 });
  });
});
