import fc from 'fast-check';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkLedger } from '../../../broker/ledger/check-ledger.ts';
import type { News } from '../../../broker/ledger/news.ts';
import { openPostgresLedger, QUERY_STATEMENTS } from '../../../broker/ledger/postgres.ts';
import { createConnection } from '../../../broker/ledger/postgres-connection.ts';
import type { PostgresPlace } from '../../../broker/ledger/postgres-place.ts';
import { GROUP_STATEMENTS } from '../../../broker/ledger/postgres-group.ts';
import { PRUNING_STATEMENTS } from '../../../broker/ledger/postgres-pruning.ts';
import { LOCKING_STATEMENTS } from '../../../broker/ledger/postgres-rows.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { eventually, eventuallyTrue } from '../../doubles/eventually.ts';
import { openFaultProxy } from '../../doubles/fault-proxy.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import {
  accept,
  createWorld,
  hello,
  lease,
  renew,
  type Step,
  TERMS,
} from '../../unit/lease-machine/world.ts';
import { events, play } from '../../unit/lease-machine/random-events.ts';
import { optionsOf, type TestPostgres, usePostgres } from './use-postgres.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 0x7fffffff);
const server = usePostgres();
const open = (place: PostgresPlace, instance = 'broker-1') =>
  openPostgresLedger(optionsOf(place, { clock: nodeClock, instance }));
const tableOf = ({ schema = '' }: PostgresPlace, name: string): string => `"${schema}".${name}`;

describe('brokers that share a ledger', () => {
  it('cannot have one name: the second gets LEDGER_IN_USE, and the first is not disturbed', async () => {
    const place = server().place();
    const first = await open(place);
    await expect(open(place)).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    expect((await first.apply([accept('j1')]))[0]).toMatchObject({ kind: 'accepted' });
    await first.close();
    const second = await open(place);
    expect((await second.job('j1'))?.job.state).toBe('queued');
    await second.close();
  });

  it('lose the name to whoever begins a new term, and then write nothing more', async () => {
    const place = server().place();
    let died = 0;
    const first = await openPostgresLedger(optionsOf(place, { clock: nodeClock, onDeath: () => died++ }));
    await server().query(`UPDATE ${tableOf(place, 'writer')} SET term = term + 1`);
    await expect(first.apply([accept('j1')])).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    await expect(first.apply([accept('j2')])).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    await expect(first.count()).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    expect(died).toBe(1);
    expect(await server().query(`SELECT id FROM ${tableOf(place, 'job')}`)).toEqual([]);
    await first.close();
  });

  it('hear of jobs that another made available, and never of their own', async () => {
    const place = server().place();
    const [one, two] = [await open(place, 'one'), await open(place, 'two')];
    const heard: { readonly one: News[]; readonly two: News[] } = { one: [], two: [] };
    one.onNews((news) => heard.one.push(news));
    two.onNews((news) => heard.two.push(news));
    await one.apply([hello('a'), accept('j1'), accept('j2'), lease('a', 'j1', 1)]);
    await eventuallyTrue('news of j2', () => heard.two.length > 0, 5_000);
    expect(heard.two).toEqual([{ kind: 'queued', jobs: ['j2'] }]);
    await one.apply([{ kind: 'revoke', agent: 'a', reason: 'stolen' }]);
    await eventuallyTrue('news of j1', () => heard.two.length > 1, 5_000);
    await eventuallyTrue('news of a', () => heard.two.length > 2, 5_000);
    expect(heard.two.slice(1)).toEqual([
      { kind: 'queued', jobs: ['j1'] },
      { kind: 'agents', agents: ['a'] },
    ]);
    await two.apply(Array.from({ length: 1_000 }, (_, at) => accept(`long-name-of-a-job-${at}`)));
    await eventuallyTrue(
      'news of a thousand jobs',
      () => heard.one.flatMap((news) => (news.kind === 'queued' ? news.jobs : [])).length === 1_000,
      5_000,
    );
    expect(heard.two).toHaveLength(3);
    await Promise.all([one.close(), two.close()]);
  });

  it('hear which agents another drained, quarantined or took a job from, and nothing of what they do themselves', async () => {
    const place = server().place();
    const [one, two] = [await open(place, 'one'), await open(place, 'two')];
    const heard: string[][] = [];
    two.onNews((news) => {
      if (news.kind === 'agents') heard.push([...news.agents]);
    });
    await one.apply([hello('a'), hello('b'), accept('j1'), accept('j2'), lease('a', 'j1', 1)]);
    await one.apply([lease('b', 'j2', 1)]);
    await one.apply([accept('j3')]);
    await one.apply([{ kind: 'drain', agent: 'a', draining: true }]);
    await one.apply([{ kind: 'cancel', job: 'j2', reason: 'no more' }]);
    await one.apply([{ kind: 'cancel', job: 'j2', reason: 'no more' }]);
    await one.apply([{ kind: 'cancel', job: 'j3', reason: 'nobody has it' }]);
    await one.apply([{ kind: 'drain', agent: 'a', draining: false }]);
    await eventuallyTrue('the last', () => heard.length >= 3, 5_000);
    expect(heard).toEqual([['a'], ['b'], ['a']]);
    await Promise.all([one.close(), two.close()]);
  });

  it('take no notice of what others of the database notify', async () => {
    const place = server().place();
    const ledger = await open(place);
    const heard: News[] = [];
    ledger.onNews((news) => heard.push(news));
    const other = { ...place, schema: 'other' };
    for (const text of [
      '',
      '{',
      '[]',
      '{"schema":1}',
      JSON.stringify({ schema: place.schema, writer: 9, agents: [1] }),
      JSON.stringify({ ...other, writer: 9, queued: ['x'] }),
    ])
      await server().query('SELECT pg_notify($1, $2)', ['co_pilot_ledger', text]);
    const real = JSON.stringify({ schema: place.schema, writer: 9, queued: ['x'] });
    await server().query('SELECT pg_notify($1, $2)', ['co_pilot_ledger', real]);
    await eventuallyTrue('the last one', () => heard.length > 0, 5_000);
    expect(heard).toEqual([{ kind: 'queued', jobs: ['x'] }]);
    await ledger.close();
  });

  it('say that news were missed once they are connected again', async () => {
    const place = server().place();
    const ledger = await open(place, 'listener');
    const heard: News[] = [];
    ledger.onNews((news) => heard.push(news));
    await terminate(server(), 'co-pilot listener news');
    await eventuallyTrue('missed', () => heard.some(({ kind }) => kind === 'missed'), 10_000);
    await ledger.close();
  });

  it('see another one go, and look at the whole ledger for what it had to do', async () => {
    const place = server().place();
    const clock = createManualClock();
    const one = await openPostgresLedger(optionsOf(place, { ...agree(clock), instance: 'one' }));
    const two = await openPostgresLedger(optionsOf(place, { ...agree(clock), instance: 'two' }));
    const heard: News[] = [];
    two.onNews((news) => heard.push(news));
    await beat(clock, place, 'two');
    expect(heard).toEqual([]);
    await one.close();
    await beat(clock, place, 'two');
    await eventuallyTrue('missed', () => heard.length > 0, 5_000);
    expect(heard).toEqual([{ kind: 'missed' }]);
    await beat(clock, place, 'two');
    expect(heard).toHaveLength(1);
    await two.close();
  });

  it('make one row of a job, an agent or an owner that both see for the first time at once', async () => {
    const place = server().place();
    const [one, two] = [await open(place, 'one'), await open(place, 'two')];
    for (let round = 0; round < 20; round++) {
      const names = Array.from({ length: 5 }, (_, at) => `${round}-${at}`);
      const commands = names.flatMap((name) => [accept(name), hello(name, 's1', `owner-${round}`)]);
      const outcomes = await Promise.all([one.apply(commands), two.apply(commands.toReversed())]);
      const accepted = outcomes.flat().filter(({ kind }) => kind === 'accepted');
      expect(accepted).toHaveLength(5);
    }
    expect((await one.count()).queued).toBe(100);
    expect(await faults(place)).toEqual([]);
    await Promise.all([one.close(), two.close()]);
  });
});

/** Until a broker has said that it is up, which is the first that it says in these five seconds. */
async function beat(clock: ManualClock, place: PostgresPlace, instance: string): Promise<void> {
  const seen = async (): Promise<unknown> => {
    const text = `SELECT seen FROM ${tableOf(place, 'writer')} WHERE name = $1`;
    return (await server().query(text, [instance]))[0]?.['seen'];
  };
  const before = await seen();
  await eventuallyTrue('its timer', () => clock.pending() > 0, 5_000);
  clock.advance(5_000);
  await eventuallyTrue('a sign of life', async () => (await seen()) !== before, 5_000);
}

/** A database whose clock goes with this machine's, `skipped` apart. */
const agree = (clock: ManualClock, skipped = { ms: 0 }) => ({
  clock,
  timeOf: () => clock.monotonicMs() + skipped.ms,
});

describe('leases after an outage', () => {
  const deadlineOf = async (place: PostgresPlace, job: string): Promise<number> => {
    const [found] = await server().query(`SELECT deadline FROM ${tableOf(place, 'job')} WHERE id = $1`, [
      job,
    ]);
    return Number(found?.['deadline']);
  };
  it('of one broker while another was up begin anew for those that it looked after alone', async () => {
    const place = server().place();
    const clock = createManualClock();
    const one = await openPostgresLedger(optionsOf(place, { ...agree(clock), instance: 'one' }));
    let two = await openPostgresLedger(optionsOf(place, { ...agree(clock), instance: 'two' }));
    await one.apply([hello('a'), accept('j1'), lease('a', 'j1', 1)]);
    await two.apply([hello('b'), accept('j2'), lease('b', 'j2', 1)]);
    await two.close();
    clock.advance(TERMS.firstRenewMs - 1);
    await one.apply([accept('still here')]);
    two = await openPostgresLedger(optionsOf(place, { ...agree(clock), instance: 'two' }));
    expect(await deadlineOf(place, 'j1')).toBe(TERMS.firstRenewMs);
    expect(await deadlineOf(place, 'j2')).toBe(TERMS.firstRenewMs - 1 + TERMS.leaseMs);
    await Promise.all([one.close(), two.close()]);
  });

  it('of all brokers begin anew for whoever comes first, once', async () => {
    const place = server().place();
    const clock = createManualClock();
    const one = await openPostgresLedger(optionsOf(place, { ...agree(clock), instance: 'one' }));
    await one.apply([hello('a'), accept('j1'), lease('a', 'j1', 1)]);
    await one.close();
    clock.advance(50 * TERMS.leaseMs);
    const two = await openPostgresLedger(optionsOf(place, { ...agree(clock), instance: 'two' }));
    expect(await two.due(10)).toEqual([]);
    expect(await deadlineOf(place, 'j1')).toBe(51 * TERMS.leaseMs);
    await two.close();
  });

  it('begin anew where the clock of the database went on and this machine did not', async () => {
    const place = server().place();
    const clock = createManualClock();
    const skipped = { ms: 0 };
    const ledger = await openPostgresLedger(optionsOf(place, agree(clock, skipped)));
    await ledger.apply([hello('a'), accept('j1'), lease('a', 'j1', 1), accept('j2'), lease('a', 'j2', 2)]);
    skipped.ms = 10 * TERMS.leaseMs;
    expect(await ledger.due(10)).toEqual([]);
    expect(await deadlineOf(place, 'j1')).toBe(11 * TERMS.leaseMs);
    skipped.ms = 20 * TERMS.leaseMs;
    expect((await ledger.apply([renew('a', 'j2', 1)]))[0]).toMatchObject({ kind: 'renewed' });
    expect(await deadlineOf(place, 'j1')).toBe(21 * TERMS.leaseMs);
    await ledger.close();
  });
});

describe('the connection', () => {
  it('that goes before a commit costs nothing: the group is tried again', async () => {
    const place = server().place();
    const ledger = await open(place, 'cut');
    for (let round = 0; round < 5; round++) {
      await terminate(server(), 'co-pilot cut');
      expect((await ledger.apply([accept(`j${round}`)]))[0]).toMatchObject({ kind: 'accepted' });
      await terminate(server(), 'co-pilot cut reads');
      expect((await ledger.job(`j${round}`))?.job.state).toBe('queued');
    }
    expect((await ledger.count()).queued).toBe(5);
    await ledger.close();
  });

  it('that goes somewhere in a group loses nothing that was answered and does nothing twice', async () => {
    const place = server().place();
    await (await open(place, 'first')).close();
    const proxy = await openFaultProxy();
    proxy.target(server().port);
    const through = { ...server().place(proxy.port), schema: place.schema! };
    const ledger = await open(through, 'faulty');
    await ledger.apply([hello('a')]);
    for (let bytes = 1; bytes < 30; bytes++) {
      await terminate(server(), 'co-pilot faulty');
      // The next connection ends after so many bytes of the answers: in its settings, its locks, its writes or its commit.
      proxy.cutNext('down', 100 + 90 * bytes);
      const outcome = await ledger.apply([accept(`j${bytes}`)]).then(
        ([done]) => done?.kind,
        (caught: unknown) => caught,
      );
      if (outcome !== 'accepted') expect(outcome).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
      const stored = await eventually('an answer', () => ledger.count(), 10_000);
      const [rows] = await server().query(`SELECT count(*) AS jobs FROM ${tableOf(place, 'job')}`);
      expect(stored.queued ?? 0).toBe(Number(rows?.['jobs']));
      const [row] = await server().query(`SELECT id FROM ${tableOf(place, 'job')} WHERE id = $1`, [
        `j${bytes}`,
      ]);
      expect(row !== undefined).toBe(outcome === 'accepted');
    }
    await ledger.close();
    await proxy.close();
    expect(await faults(place)).toEqual([]);
  });

  it.each(['passes', 'lost'] as const)(
    'that goes with a commit which %s: the group is answered as it is in the database, and happened once',
    async (fate) => {
      const place = server().place();
      await (await open(place, 'first')).close();
      const proxy = await openFaultProxy();
      proxy.target(server().port);
      const ledger = await open({ ...server().place(proxy.port), schema: place.schema! });
      await ledger.apply([hello('a')]);
      const made = proxy.connections();
      for (let round = 1; round <= 3; round++) {
        proxy.cutAt('COMMIT', fate);
        const [accepted, leased] = await ledger.apply([accept(`j${round}`), lease('a', `j${round}`, round)]);
        // Had it been run a second time, the job would be known and the counter old.
        expect([accepted?.kind, leased?.kind]).toEqual(['accepted', 'leased']);
        expect((await ledger.job(`j${round}`))?.job.lastAttempt).toBe(1);
      }
      expect(proxy.connections() - made).toBe(4); // three new ones, and the first to read with
      await ledger.close();
      await proxy.close();
      expect(await faults(place)).toEqual([]);
    },
  );

  it('that swallows everything is given up where no other can be made, and work goes on when one can', async () => {
    const place = server().place();
    const clock = createManualClock();
    await (await open(place, 'first')).close();
    const proxy = await openFaultProxy();
    proxy.target(server().port);
    const through = { ...server().place(proxy.port), schema: place.schema! };
    const ledger = await openPostgresLedger(optionsOf(through, agree(clock)));
    await ledger.apply([hello('a')]);
    proxy.stall(true);
    const taken = ledger.apply([accept('j1')]);
    const refused = expect(taken).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    // Sent, doubted after twenty seconds, given up when the other connection is not there after fifteen more.
    await clock.run(20_000);
    await eventuallyTrue('the other connection', () => proxy.connections() > 2, 5_000);
    proxy.target(1);
    proxy.stall(false);
    await clock.run(15_000);
    await refused;
    proxy.target(server().port);
    expect((await ledger.apply([accept('j2')]))[0]).toMatchObject({ kind: 'accepted' });
    expect((await ledger.count()).queued).toBe(1);
    await ledger.close();
    await proxy.close();
  });

  it('that cannot be had is LEDGER_UNAVAILABLE at once, and work goes on when it can', async () => {
    const place = server().place();
    await (await open(place, 'first')).close();
    const proxy = await openFaultProxy();
    proxy.target(server().port);
    const ledger = await open({ ...server().place(proxy.port), schema: place.schema! });
    proxy.target(1);
    await terminate(server(), 'co-pilot broker-1%');
    await expect(ledger.apply([accept('j1')])).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await expect(ledger.due(1)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    proxy.target(server().port);
    expect((await ledger.apply([accept('j1')]))[0]).toMatchObject({ kind: 'accepted' });
    await ledger.close();
    await proxy.close();
  });
});

describe('a database that will not do', () => {
  it('of a newer version is UNSUPPORTED', async () => {
    const place = server().place();
    await (await open(place)).close();
    await server().query(`UPDATE ${tableOf(place, 'ledger')} SET version = 99`);
    await expect(open(place)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('of an earlier version is brought to this one: no job has events yet, whatever agents wrote into its log', async () => {
    const place = server().place();
    const before = await open(place);
    await before.apply([hello('a'), accept('j1'), lease('a', 'j1', 1)]);
    await before.apply([renew('a', 'j1', 1, { logTail: 'nul \u0000, half a pair \ud800, "}' })]);
    await before.close();
    const stripped = `regexp_replace(row, ',?"events":0', '')`;
    await server().query(`UPDATE ${tableOf(place, 'job')} SET row = ${stripped}`);
    await server().query(`DROP TABLE ${tableOf(place, 'account')}`);
    await server().query(`UPDATE ${tableOf(place, 'ledger')} SET version = 3`);
    const after = await open(place);
    expect((await after.job('j1'))?.job).toMatchObject({
      events: 0,
      attempts: [{ logTail: 'nul \u0000, half a pair \ud800, "}' }],
    });
    await after.close();
  });

  it('of an earlier version is brought to this one: its agents are counted', async () => {
    const place = server().place();
    const before = await open(place);
    await before.apply([hello('a'), hello('b', 's1', 'owner-a'), hello('c')]);
    await before.apply([{ kind: 'revoke', agent: 'b', reason: 'gone' }]);
    await before.close();
    for (const [table, field] of [
      ['agent', 'place'],
      ['owner', 'agents'],
    ] as const)
      await server().query(`UPDATE ${tableOf(place, table)} SET row = (row::jsonb - '${field}')::text`);
    await server().query(`DROP TABLE ${tableOf(place, 'account')}`);
    await server().query(`UPDATE ${tableOf(place, 'ledger')} SET version = 2`);
    const after = await open(place);
    expect([await after.owner('owner-a'), await after.owner('owner-c')]).toMatchObject([
      { agents: 1, live: 0 },
      { agents: 1 },
    ]);
    const { agents } = await after.agents('', 10);
    expect(agents.map(({ id, place: has }) => [id, has])).toEqual([
      ['a', true],
      ['b', false],
      ['c', true],
    ]);
    await after.close();
  });

  it('whose schema is some other program’s is LEDGER_CORRUPT, and left as it is', async () => {
    const place = server().place();
    await server().query(`CREATE SCHEMA "${place.schema!}" CREATE TABLE bookmark (url text)`);
    await expect(open(place)).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    const tables = await server().query(
      'SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1)',
      [place.schema],
    );
    expect(tables).toEqual([{ relname: 'bookmark' }]);
  });

  it('with a row that is no JSON is LEDGER_CORRUPT, and nothing of that group happened', async () => {
    const place = server().place();
    const ledger = await open(place);
    await ledger.apply([hello('a'), accept('j1')]);
    await server().query(`UPDATE ${tableOf(place, 'job')} SET row = '{' WHERE id = 'j1'`);
    const damage = { code: 'LEDGER_CORRUPT' };
    await expect(ledger.apply([accept('j2'), lease('a', 'j1', 1)])).rejects.toMatchObject(damage);
    await expect(ledger.job('j1')).rejects.toMatchObject(damage);
    expect(await ledger.job('j2')).toBeUndefined();
    await ledger.close();
  });

  it('that nobody answers at is LEDGER_UNAVAILABLE, an unknown database INVALID_CONFIGURATION; no password is told', async () => {
    const { url } = server().place();
    const closed = open({ url: 'postgres://me:canary-password@127.0.0.1:1/x' });
    await expect(closed).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      message: expect.not.stringContaining('canary'),
    });
    const unknown = url.replace(/postgres$/, 'nosuch').replace('postgres@', 'postgres:canary-password@');
    await expect(open({ url: unknown })).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.not.stringContaining('canary'),
    });
  });

  it('that may fail over and has no synchronous standby is refused', async () => {
    const place = server().place();
    const options = optionsOf(place, { clock: nodeClock, failover: true });
    await expect(openPostgresLedger(options)).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    await server().query("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'");
    await server().query('SELECT pg_reload_conf()');
    try {
      await eventuallyTrue('the setting', async () => (await standbyNames()) === 'elsewhere', 5_000);
      await expect(openPostgresLedger(options)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    } finally {
      await server().query('ALTER SYSTEM RESET synchronous_standby_names');
      await server().query('SELECT pg_reload_conf()');
      await eventuallyTrue('no setting', async () => (await standbyNames()) === '', 5_000);
    }
  });

  const standbyNames = async () =>
    (await server().query('SHOW synchronous_standby_names'))[0]?.['synchronous_standby_names'];
});

describe('what a session sets', () => {
  it('is a commit that waits for the disk, whatever the server is told', async () => {
    await server().query("ALTER ROLE postgres SET synchronous_commit = 'off'");
    const connection = createConnection(server().place(), 'settings');
    try {
      const session = await connection.session();
      expect(await session.run('SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
      // PostgreSQL reports a commit as done whose wait for a standby such a limit cut short.
      expect(await session.run('SHOW statement_timeout')).toEqual([{ statement_timeout: '0' }]);
    } finally {
      await server().query('ALTER ROLE postgres RESET synchronous_commit');
      await connection.close();
    }
  });
});

describe('query plans', () => {
  const statements = Object.entries({
    ...QUERY_STATEMENTS,
    ...LOCKING_STATEMENTS,
    ...GROUP_STATEMENTS,
    prune: PRUNING_STATEMENTS.jobs,
    pruneAgents: PRUNING_STATEMENTS.agents,
    deleteJobs: PRUNING_STATEMENTS.deleteJobs,
    deleteAgents: PRUNING_STATEMENTS.deleteAgents,
    deleteAudit: PRUNING_STATEMENTS.deleteAudit,
  });
  /** Of many jobs nearly all are over, and the database has or has not noticed. */
  it.each(['empty', 'grown', 'analysed'])('read what an index serves, where tables are %s', async (state) => {
    const place = server().place();
    await (await open(place)).close();
    if (state !== 'empty')
      await server().query(
        `INSERT INTO ${tableOf(place, 'job')} (id, writer, state, deadline, duty, row) SELECT 'j' || n, 1, 'told', NULL, false, repeat('x', 200) FROM generate_series(1, 20000) n`,
      );
    if (state === 'analysed') await server().query(`ANALYZE ${tableOf(place, 'job')}`);
    const connection = createConnection(place, 'plans');
    const session = await connection.session();
    await session.run('SET plan_cache_mode = force_generic_plan');
    for (const [name, text] of statements) {
      await session.run(`PREPARE "${name}" AS ${text}`);
      const count = new Set(text.match(/\$\d+/g)).size;
      const nulls = Array.from({ length: count }, () => 'NULL').join(', ');
      const plan = await session.run(`EXPLAIN (FORMAT JSON) EXECUTE "${name}" (${nulls})`);
      expect([name, scans(plan[0]?.['QUERY PLAN'])]).toEqual([name, []]);
    }
    await connection.close();
  });

  /** Nodes that read a whole table or a whole index. Writers are as many as brokers; a partial index has only what is looked for. */
  function scans(plan: unknown): readonly string[] {
    if (Array.isArray(plan)) return plan.flatMap(scans);
    if (typeof plan !== 'object' || plan === null) return [];
    const node = plan as Readonly<Record<string, unknown>>;
    const type = String(node['Node Type']);
    const index = typeof node['Index Name'] === 'string' ? node['Index Name'] : '';
    const isPartial = /^job_(?:queued|live|due|duty)$/.test(index);
    const isWhole =
      type === 'Seq Scan' ||
      ((type.startsWith('Index') || type.startsWith('Bitmap Index')) &&
        node['Index Cond'] === undefined &&
        !isPartial);
    const isSmall = node['Relation Name'] === 'writer' || node['Relation Name'] === 'ledger';
    return [
      ...(isWhole && !isSmall ? [`${type} ${String(node['Relation Name'])} ${index}`] : []),
      ...Object.values(node).flatMap((value) => (typeof value === 'object' ? scans(value) : [])),
    ];
  }
});

describe(`the database and the pure machine (SEED=${seed})`, () => {
  it('agree on every outcome and every row, whether commands come one by one or in groups', async () => {
    await fc.assert(
      fc.asyncProperty(events, fc.integer({ min: 1, max: 9 }), async (played, size) => {
        const place = server().place();
        const clock = createManualClock();
        const ledger = await openPostgresLedger(optionsOf(place, agree(clock)));
        const world = createWorld();
        const groups: Step[][] = [];
        play(world, played, (step) => {
          const group = groups.at(-1);
          if (group !== undefined && group.length < size && group[0]!.nowMs === step.nowMs) group.push(step);
          else groups.push([step]);
        });
        for (const group of groups) {
          clock.advance(group[0]!.nowMs - clock.monotonicMs());
          const outcomes = await ledger.apply(group.map(({ command }) => command));
          expect(outcomes).toEqual(group.map(({ outcome }) => outcome));
        }
        expect((await ledger.list({ kind: 'all' }, '', 100)).map(({ job }) => job)).toEqual(world.jobs());
        await ledger.close();
        expect(await faults(place)).toEqual([]);
      }),
      { seed, numRuns: 6, endOnFailure: true },
    );
  });
});

async function terminate(postgres: TestPostgres, purpose: string): Promise<void> {
  await postgres.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1',
    [purpose],
  );
}

/** What the check of a ledger finds wrong. */
async function faults(place: PostgresPlace): Promise<readonly string[]> {
  const folder = await temporaryDirectory('postgres-check');
  const ledger = await open(place, 'checker');
  try {
    const copy = join(folder, 'copy.sqlite');
    await ledger.snapshot(copy, () => undefined);
    return checkLedger(copy, () => undefined).faults;
  } finally {
    await ledger.close();
    await removeDirectory(folder);
  }
}
