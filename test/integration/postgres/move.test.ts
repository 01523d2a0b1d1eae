import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Command } from '../../../broker/core/command.ts';
import { createPostgresCodeStore } from '../../../broker/enrolment/postgres-code-store.ts';
import { openCodeStore } from '../../../broker/enrolment/sqlite-code-store.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { checkLedger } from '../../../broker/ledger/check-ledger.ts';
import { openPostgresLedger } from '../../../broker/ledger/postgres.ts';
import { exportLedger } from '../../../broker/ledger/postgres-export.ts';
import { importLedger } from '../../../broker/ledger/postgres-import.ts';
import type { PostgresPlace } from '../../../broker/ledger/postgres-place.ts';
import { openSqliteStore } from '../../../broker/ledger/sqlite-store.ts';
import { openInstallation } from '../../../cli/installation.ts';
import { runCommand } from '../../doubles/command-in-process.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import {
  abort,
  accept,
  cancel,
  discarded,
  finalised,
  hello,
  lease,
  mismatch,
  release,
  report,
  told,
  verified,
} from '../../unit/lease-machine/world.ts';
import { optionsOf, usePostgres } from './use-postgres.ts';

const server = usePostgres();
const DAY_MS = 86_400_000;
const ignore = (): void => undefined;

let folder: string;
let from: string;
let codes: string;
beforeEach(async () => {
  folder = await temporaryDirectory('move');
  from = join(folder, 'ledger.sqlite');
  codes = join(folder, 'codes.sqlite');
});
afterEach(() => removeDirectory(folder));

/** A ledger with a job in each state, several agents, a revoked one, ids of jobs that went, and texts of every kind. */
function fill(): void {
  const store = openSqliteStore(from);
  let counter = 0;
  const once = (nowMs: number, ...commands: readonly Command[]): void => void store.apply(commands, nowMs);
  const run = (job: string, nowMs: number, ...then: readonly Command[]): void =>
    once(nowMs, hello('a'), accept(job), lease('a', job, ++counter), report('a', job, 1, ++counter), ...then);
  const seen = (job: string): Command => ({
    kind: 'seen',
    agent: 'a',
    start: 's1',
    seen: [{ job, attempt: 1 }],
  });
  run('gone', 1, verified('gone', 1), finalised('gone', 1), told('gone', 'ok', '', 70), seen('gone'));
  store.prune(
    {
      jobMs: 1,
      jobs: 1_000,
      tombstoneMs: 400 * DAY_MS,
      identityMs: 9 * DAY_MS,
      agentMs: 90 * DAY_MS,
      auditRecords: 1_000,
    },
    2 * DAY_MS,
    100,
  );
  const nowMs = 2 * DAY_MS;
  run('told', nowMs, verified('told', 1), finalised('told', 1), told('told', 'ok', '', 1_000), seen('told'));
  run(
    'refused',
    nowMs,
    verified('refused', 1),
    finalised('refused', 1),
    told('refused', 'refused', 'no'),
    seen('refused'),
  );
  run('committed', nowMs, verified('committed', 1), finalised('committed', 1), seen('committed'));
  run('committing', nowMs, verified('committing', 1));
  run('aborting', nowMs, verified('aborting', 1), abort('aborting', 1));
  once(nowMs, hello('b', 's1', 'owner-Jöb 🎲'), hello('c'), { kind: 'revoke', agent: 'c', reason: 'stolen' });
  once(nowMs, accept('reported'), lease('b', 'reported', 1), report('b', 'reported', 1, 2));
  once(nowMs, accept('again'), lease('b', 'again', 3), report('b', 'again', 1, 4), mismatch('again', 1));
  once(nowMs, accept('leased'), lease('b', 'leased', 5));
  once(nowMs, accept('released'), lease('b', 'released', 6), release('b', 'released', 1, 7));
  once(nowMs, accept('cancelled'), cancel('cancelled'), accept('discarding'), lease('b', 'discarding', 8));
  once(nowMs, cancel('discarding'), accept('discarded'), lease('b', 'discarded', 9), cancel('discarded'));
  once(nowMs, discarded('discarded', 1), { kind: 'ban', owner: 'owner-c', banned: true });
  once(nowMs, accept('queued', { description: '"\u0000\n\\ Jöb 🎲 {"' }), accept("'; DROP TABLE job; --"));
  store.close(nowMs + 5);
}

/** Every row of a file, but not the moment at which the clock was read. */
function contentOf(path: string): unknown {
  const database = new DatabaseSync(path, { readOnly: true });
  const rows = (query: string): unknown => database.prepare(query).all();
  const content = {
    jobs: rows('SELECT id, state, deadline, duty, row FROM job ORDER BY seq'),
    descriptions: rows('SELECT id, text FROM description JOIN job USING (seq) ORDER BY seq'),
    agents: rows('SELECT * FROM agent ORDER BY id'),
    owners: rows('SELECT * FROM owner ORDER BY id'),
    tombstones: rows('SELECT * FROM tombstone ORDER BY id'),
    accounts: rows('SELECT * FROM account ORDER BY key'),
    audit: rows('SELECT count, lines FROM audit ORDER BY first'),
    counts: rows("SELECT json_extract(value, '$.counts') AS counts FROM meta"),
  };
  database.close();
  return content;
}

const tables = async (place: PostgresPlace): Promise<unknown> =>
  server().query('SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1)', [place.schema]);

describe('a ledger moved from SQLite', () => {
  it('has every row, description, audit record, tombstone, count and the clock', async () => {
    fill();
    const to = server().place();
    const before = contentOf(from);
    const moved = await importLedger({ from, codes, to, dryRun: false, onProgress: ignore });
    expect(moved).toMatchObject({ agents: 3, tombstones: 1, clockMs: 2 * DAY_MS + 5 });
    const copy = join(folder, 'copy.sqlite');
    await exportLedger(to, copy, ignore);
    expect(contentOf(copy)).toEqual(before);
    expect(contentOf(from)).toEqual(before);
    expect(checkLedger(copy, ignore)).toMatchObject({ faults: [], jobs: moved.jobs });
  });

  it('goes on where it was: the clock, the order, the numbers, and every lease anew', async () => {
    fill();
    const to = server().place();
    await importLedger({ from, codes, to, dryRun: false, onProgress: ignore });
    const ledger = await openPostgresLedger(optionsOf(to, { clock: createManualClock() }));
    const nowMs = await ledger.nowMs();
    expect(nowMs).toBeGreaterThanOrEqual(2 * DAY_MS + 5);
    expect(nowMs).toBeLessThan(2 * DAY_MS + 600_000);
    expect(await ledger.due(10)).toEqual([]);
    const outcomes = await ledger.apply([
      accept('gone'),
      accept('told'),
      accept('new'),
      hello('c'),
      finalised('committing', 1),
    ]);
    expect(outcomes.map((outcome) => (outcome.kind === 'refused' ? outcome.code : outcome.kind))).toEqual([
      'pruned',
      'known',
      'accepted',
      'REVOKED',
      'changed',
    ]);
    expect((await ledger.list({ kind: 'all' }, '', 100)).at(-1)?.job.id).toBe('new');
    await ledger.close();
    const copy = join(folder, 'copy.sqlite');
    await exportLedger(to, copy, ignore);
    expect(checkLedger(copy, ignore).faults).toEqual([]);
  });

  it('brings its one-use codes, which are good where they go, once, and no more than they were', async () => {
    fill();
    const terms = { owner: 'Jöb 🎲', site: 'home', tier: 'semi-trusted' } as const;
    const old = openCodeStore(codes);
    await old.add('unspent', terms, 2_000);
    await old.add('spent', terms, 2_000);
    await old.add('ended', terms, 500);
    await old.spend('spent', 'its key', 1);
    const to = server().place();
    const attempt = (dryRun: boolean) => importLedger({ from, codes, to, dryRun, onProgress: ignore });
    await expect(attempt(false)).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    await old.close();
    expect(await attempt(true)).toMatchObject({ codes: 3 });
    expect(await attempt(false)).toMatchObject({ codes: 3 });
    const moved = createPostgresCodeStore(to, 'co-pilot codes', nodeClock);
    expect(await moved.spend('spent', 'another key', 1_000)).toEqual({ kind: 'refused' });
    expect(await moved.spend('spent', 'its key', 1_000)).toEqual({ kind: 'spent', terms });
    expect(await moved.spend('ended', 'a key', 1_000)).toEqual({ kind: 'refused' });
    expect(await moved.spend('unspent', 'a key', 1_000)).toEqual({ kind: 'spent', terms });
    expect(await moved.spend('unspent', 'another key', 1_000)).toEqual({ kind: 'refused' });
    await moved.close();
    await expect(attempt(false)).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('whose codes are damaged stays where it is', async () => {
    fill();
    await writeFile(codes, 'this is no database, though it is long enough to be one. '.repeat(99));
    const to = server().place();
    await expect(importLedger({ from, codes, to, dryRun: false, onProgress: ignore })).rejects.toMatchObject({
      code: 'LEDGER_CORRUPT',
    });
    expect(await tables(to)).toEqual([]);
  });

  it('is only tried where that is asked, and nothing is left of it', async () => {
    fill();
    const to = server().place();
    const moved = await importLedger({ from, codes, to, dryRun: true, onProgress: ignore });
    expect(moved.jobs).toBeGreaterThan(10);
    expect(await tables(to)).toEqual([]);
  });

  it('does not go where something is, nor while a broker has the file', async () => {
    fill();
    const to = server().place();
    await (await openPostgresLedger(optionsOf(to, { clock: createManualClock() }))).close();
    const attempt = (place: PostgresPlace) =>
      importLedger({ from, codes, to: place, dryRun: false, onProgress: ignore });
    await expect(attempt(to)).rejects.toMatchObject({ code: 'CONFLICT' });
    const store = openSqliteStore(from);
    await expect(attempt(server().place())).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    store.close(0);
  });

  it('that is damaged stays where it is', async () => {
    fill();
    const database = new DatabaseSync(from);
    database.exec("UPDATE audit SET lines = 'no JSON' WHERE first = (SELECT max(first) FROM audit)");
    database.close();
    const to = server().place();
    await expect(importLedger({ from, codes, to, dryRun: false, onProgress: ignore })).rejects.toMatchObject({
      code: expect.stringMatching(/^LEDGER_|INTERNAL/),
    });
    expect(await tables(to)).toEqual([]);
  });

  it('as large as it is, tells how far it has come', async () => {
    const store = openSqliteStore(from);
    store.apply(
      Array.from({ length: 1_234 }, (_, at) => accept(`j${at}`)),
      1,
    );
    store.close(1);
    const done: number[] = [];
    const moved = await importLedger({
      from,
      codes,
      to: server().place(),
      dryRun: false,
      onProgress: ({ doneRows, totalRows }) => done.push(doneRows / totalRows),
    });
    expect(moved.jobs).toBe(1_234);
    expect(done).toEqual(done.toSorted((one, other) => one - other));
    expect(done.at(-1)).toBe(1);
  });
});

describe('by command', () => {
  /** What a command answers in JSON, and its exit code. */
  async function say(...words: readonly string[]) {
    const { code, out } = await runCommand([...words, '--data', folder, '--json']);
    return { code, answer: JSON.parse(out) as Readonly<Record<string, unknown>> };
  }

  it('a ledger is tried, moved and checked, with the settings saying where it is', async () => {
    fill();
    const { url } = server().place();
    expect(await say('ledger', 'migrate', '--from', folder)).toMatchObject({
      code: 65,
      answer: { error: { code: 'INVALID_REQUEST' } },
    });
    const refused = await say('ledger', 'migrate', '--from', folder, '--to', url.replace('@', ':canary@'));
    expect(refused).toMatchObject({ code: 78, answer: { error: { code: 'INVALID_CONFIGURATION' } } });
    expect(JSON.stringify(refused)).not.toContain('canary');
    const tried = await say('ledger', 'migrate', '--from', folder, '--to', url, '--dry-run');
    expect(tried).toMatchObject({ code: 0, answer: { dryRun: true, tombstones: 1 } });

    await writeFile(join(folder, 'co-pilot.yaml'), `ledger: { kind: postgres, url: '${url}' }\n`, {
      mode: 0o600,
    });
    await openInstallation({ directory: folder });
    expect(await say('ledger', 'migrate', '--from', folder)).toMatchObject({
      code: 0,
      answer: { ...tried.answer, dryRun: false },
    });
    expect(await say('ledger', 'migrate', '--from', folder)).toMatchObject({
      answer: { error: { code: 'CONFLICT' } },
    });
    openCodes();
    expect(await say('ledger', 'check')).toMatchObject({
      code: 0,
      answer: { faults: [], jobs: tried.answer['jobs'], wasRunning: false },
    });
    const { answer } = await say('doctor');
    expect(answer['findings']).toContainEqual(
      expect.objectContaining({ what: "ledger's database", status: 'ok' }),
    );
  });

  /** A broker that ran has one-use codes beside its ledger. */
  function openCodes(): void {
    new DatabaseSync(join(folder, 'broker', 'codes.sqlite')).close();
  }
});
