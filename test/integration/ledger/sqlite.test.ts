import { randomBytes } from 'node:crypto';
import { open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLedgerIn, openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import { openSqliteStore, STATEMENTS } from '../../../broker/ledger/sqlite-store.ts';
import { ledgerConformance } from '../../conformance/ledger.ts';
import { ledgerKeepingConformance } from '../../conformance/ledger-keeping.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import {
  accept,
  createWorld,
  hello,
  lease,
  report,
  type Step,
  verified,
} from '../../unit/lease-machine/world.ts';
import { events, play } from '../../unit/lease-machine/random-events.ts';
import { createLedgerFiles, SILENT, temporaryFolder } from './ledger-file.ts';

describe('sqlite ledger', () => {
  ledgerConformance(createLedgerFiles);
  ledgerKeepingConformance(createLedgerFiles);
});

const seed = Number(process.env.SEED ?? Date.now() % 0x7fffffff);

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'ledger.sqlite');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function openHere() {
  return openSqliteLedger({ path, clock: createManualClock(), log: SILENT });
}

/** A ledger with some hundred jobs, closed. */
function fillLedger(): void {
  const store = openSqliteStore(path);
  store.apply([hello('a'), ...Array.from({ length: 300 }, (_, at) => accept(`j${at}`))], 0);
  store.close(0);
}

describe('a damaged or foreign file is named, refused and left as it is', () => {
  const damages: readonly [string, () => Promise<void>][] = [
    ['garbage', () => writeFile(path, randomBytes(20_000))],
    ['a text', () => writeFile(path, 'jobs:\n  - one\n'.repeat(100))],
    [
      'pages overwritten in the middle',
      async () => {
        fillLedger();
        const file = await open(path, 'r+');
        await file.write(randomBytes(4_096 * 6), 0, 4_096 * 6, 4_096 * 8);
        await file.close();
      },
    ],
    [
      'a file cut short',
      async () => {
        fillLedger();
        await truncate(path, 4_096 * 10);
      },
    ],
    [
      'a database of another program',
      async () => {
        const other = new DatabaseSync(path);
        other.exec('CREATE TABLE bookmark (url TEXT)');
        other.close();
      },
    ],
  ];
  it.each(damages)('%s: LEDGER_CORRUPT with the next step', async (_name, damage) => {
    await damage();
    const before = await readFile(path);
    await expect(openHere()).rejects.toMatchObject({
      code: 'LEDGER_CORRUPT',
      message: expect.stringContaining('aside'),
    });
    expect((await readFile(path)).equals(before)).toBe(true);
  });

  it('a row that is no JSON is damage as well', () => {
    fillLedger();
    const store = openSqliteStore(path);
    store.database.exec("UPDATE job SET row = '{' WHERE id = 'j7'");
    const damage: unknown = expect.objectContaining({ code: 'LEDGER_CORRUPT' });
    expect(() => store.apply([accept('j900'), lease('a', 'j7', 1)], 0)).toThrow(damage);
    expect(() => store.apply([accept('j900')], 0)).toThrow(damage);
    store.database.close();
  });

  it('a ledger of a newer version is UNSUPPORTED', async () => {
    fillLedger();
    const database = new DatabaseSync(path);
    database.exec('PRAGMA user_version = 99');
    database.close();
    await expect(openHere()).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('a folder that is not there is LEDGER_UNAVAILABLE', async () => {
    path = join(folder, 'missing', 'ledger.sqlite');
    await expect(openHere()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  });
});

describe('the file', () => {
  it('is readable for its owner alone, synced in full, and logs ahead', async () => {
    const store = openSqliteStore(path);
    store.apply([accept('j1')], 0);
    for (const name of [path, `${path}-wal`]) expect((await stat(name)).mode & 0o777).toBe(0o600);
    expect(store.database.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
    expect(store.database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    store.close(0);
  });

  it('belongs to one broker: a second one gets LEDGER_IN_USE, and the first is not disturbed', async () => {
    const first = await openHere();
    await expect(openHere()).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    expect((await first.apply([accept('j1')]))[0]).toMatchObject({ kind: 'accepted' });
    await first.close();
    const second = await openHere();
    expect((await second.job('j1'))?.job.state).toBe('queued');
    await second.close();
  });

  it('keeps the audit records of a group in one row, numbered without gaps', () => {
    const store = openSqliteStore(path);
    store.apply([hello('a'), accept('j1'), accept('j2')], 0);
    store.apply([lease('a', 'j1', 1), lease('a', 'j2', 2)], 5);
    store.apply([report('a', 'j1', 1, 3), verified('j1', 1)], 6);
    const rows = store.database.prepare('SELECT first, count, lines FROM audit').all();
    expect(rows.map(({ first, count }) => [first, count])).toEqual([
      [1, 2],
      [3, 2],
    ]);
    expect(String(rows[0]?.lines).split('\n')[1]).toBe(
      '{"atMs":5,"kind":"lease","job":"j2","attempt":1,"agent":"a","detail":"slot 1"}',
    );
    store.close(0);
  });
});

describe('a full disk', () => {
  it('fails the group whole with LEDGER_FULL, loses nothing, and goes on once there is space', () => {
    const store = openSqliteStore(path);
    store.apply([hello('a'), accept('j1'), lease('a', 'j1', 1)], 0);
    setPages(store.database, pagesOf(store.database) + 4);
    const big = [
      report('a', 'j1', 1, 2),
      ...Array.from({ length: 50 }, (_, at) => accept(`k${at}`, { description: 'x'.repeat(4_000) })),
    ];
    expect(() => store.apply(big, 0)).toThrow(expect.objectContaining({ code: 'LEDGER_FULL' }));
    expect(store.job('k0')).toBeUndefined();
    expect(store.job('j1')?.job.state).toBe('leased');
    expect(store.count()).toMatchObject({ leased: 1 });
    expect(store.apply([{ kind: 'seen', agent: 'a', start: 's1', seen: [] }], 0)).toEqual([
      { kind: 'unchanged' },
    ]);
    setPages(store.database, 1_000_000);
    expect(store.apply(big, 0).map(({ kind }) => kind)).toEqual(['reported', ...Array(50).fill('accepted')]);
    store.close(0);
    expect(openAndCount()).toMatchObject({ reported: 1, queued: 50 });
  });

  function openAndCount() {
    const store = openSqliteStore(path);
    const counts = store.count();
    store.close(0);
    return counts;
  }
  function pagesOf(database: DatabaseSync): number {
    return Number(database.prepare('PRAGMA page_count').get()?.page_count);
  }
  function setPages(database: DatabaseSync, pages: number): void {
    database.exec(`PRAGMA max_page_count = ${pages}`);
  }
});

describe('the thread', () => {
  it('that dies takes every question with it, and the ledger closes all the same', async () => {
    const program = new URL('./dying-worker.ts', import.meta.url);
    const ledger = await openLedgerIn(program, { path, clock: createManualClock(), log: SILENT });
    const asked = await Promise.allSettled([ledger.apply([accept('j1')]), ledger.due(1)]);
    const gone = { status: 'rejected', reason: { code: 'LEDGER_UNAVAILABLE' } };
    expect(asked).toMatchObject([gone, gone]);
    await expect(ledger.count()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await ledger.close();
  });

  it('I9 takes a thousand questions and no more', async () => {
    const ledger = await openHere();
    const asked = await Promise.allSettled(Array.from({ length: 1_001 }, () => ledger.count()));
    expect(asked.filter(({ status }) => status === 'rejected')).toMatchObject([
      { reason: { code: 'LEDGER_UNAVAILABLE' } },
    ]);
    await ledger.close();
  });
});

describe('query plans', () => {
  it.each(Object.entries(STATEMENTS))('%s reads what an index serves', (_name, text) => {
    const store = openSqliteStore(path);
    const plan = store.database.prepare(`EXPLAIN QUERY PLAN ${text}`).all();
    const details = plan.map(({ detail }) => String(detail));
    expect(details.filter((detail) => /SCAN|TEMP B-TREE/.test(detail))).toEqual([]);
    store.close(0);
  });
});

describe('with a hundred thousand jobs', () => {
  it('a cycle costs about what it costs with a few', () => {
    const few = openSqliteStore(join(folder, 'few.sqlite'));
    const many = openSqliteStore(path);
    for (const store of [few, many]) store.apply([hello('a'), accept('warm')], 0);
    for (let at = 0; at < 100; at++)
      many.apply(
        Array.from({ length: 1_000 }, (_, job) => accept(`p${at}-${job}`)),
        0,
      );
    const costs = { few: [] as number[], many: [] as number[] };
    for (let round = 1; round <= 30; round++) {
      costs.few.push(cpuOf(() => cycles(few, round)));
      costs.many.push(cpuOf(() => cycles(many, round)));
    }
    expect(many.count().queued).toBeGreaterThan(100_000);
    // Far looser than what is measured, and far tighter than one scan of the table would allow.
    expect(median(costs.many)).toBeLessThan(5 * median(costs.few));
    for (const store of [few, many]) store.close(0);
  });

  function cycles(store: ReturnType<typeof openSqliteStore>, round: number): void {
    const jobs = Array.from({ length: 3 }, (_, at) => `c${round}-${at}`);
    store.apply(
      jobs.map((job) => accept(job)),
      0,
    );
    store.apply(
      jobs.map((job, at) => lease('a', job, round * 10 + at)),
      0,
    );
    store.apply(
      jobs.map((job, at) => ({ ...report('a', job, 1, round * 10 + 5 + at) })),
      0,
    );
    store.apply(
      jobs.flatMap((job) => [verified(job, 1), { kind: 'finalised', job, attempt: 1 } as const]),
      0,
    );
    store.apply(
      [{ kind: 'seen', agent: 'a', start: 's1', seen: jobs.map((job) => ({ job, attempt: 1 })) }],
      0,
    );
    store.due(0, 100);
    expect(store.job(jobs[0]!)?.job.state).toBe('committed');
  }
  function cpuOf(action: () => void): number {
    const before = process.cpuUsage();
    action();
    const { user, system } = process.cpuUsage(before);
    return user + system;
  }
  function median(values: readonly number[]): number {
    return [...values].sort((one, other) => one - other)[values.length >> 1]!;
  }
});

describe(`the file and the pure machine (SEED=${seed})`, () => {
  it('agree on every outcome and every row, whether commands come one by one or in groups', () => {
    let run = 0;
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 9 }), (played, size) => {
        const store = openSqliteStore(join(folder, `run-${++run}.sqlite`));
        const world = createWorld();
        let group: Step[] = [];
        const flush = (): void => {
          const { nowMs } = group[0]!;
          const outcomes = store.apply(
            group.map(({ command }) => command),
            nowMs,
          );
          expect(outcomes).toEqual(group.map(({ outcome }) => outcome));
          group = [];
        };
        play(world, played, (step) => {
          if (group.length === size || (group.length > 0 && group[0]!.nowMs !== step.nowMs)) flush();
          group.push(step);
        });
        flush();
        expect(store.list('all', '', 100).map(({ job }) => job)).toEqual(world.jobs());
        store.close(0);
      }),
      { seed, numRuns: 20 },
    );
  });
});
