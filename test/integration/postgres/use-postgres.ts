import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { Ledger } from '../../../broker/ledger/ledger.ts';
import { openPostgresLedger, type PostgresLedgerOptions } from '../../../broker/ledger/postgres.ts';
import type { PostgresPlace } from '../../../broker/ledger/postgres-place.ts';
import type { KeepingUnderTest } from '../../conformance/ledger-keeping.ts';
import { eventually } from '../../doubles/eventually.ts';
import { openFaultProxy } from '../../doubles/fault-proxy.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import { type PostgresServer, startPostgres } from '../../servers/postgres.ts';

/** A server of the tests' own. */
export interface TestPostgres {
  /** A place that nobody used. */
  place(port?: number): PostgresPlace;
  readonly port: number;
  readonly server: PostgresServer;
  /** As the superuser; the tables of a place are found in its schema. */
  query(text: string, values?: readonly unknown[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

interface Running extends TestPostgres {
  stop(): Promise<void>;
}

/** A server for the tests of one file. Where it is not installed they fail in CI and are counted and named elsewhere. */
export function usePostgres(settings: readonly string[] = []): () => TestPostgres {
  let running: Running | undefined;
  let whyNot: string | undefined;
  beforeAll(async () => {
    try {
      running = await start(settings);
    } catch (caught) {
      whyNot = String(caught);
      if (!whyNot.includes('is not installed')) throw caught;
    }
  });
  afterAll(() => running?.stop());
  beforeEach((context) => {
    if (whyNot === undefined) return;
    if (process.env['CI'] === 'true') throw new Error(whyNot);
    context.skip(whyNot);
  });
  return () => {
    if (running === undefined) throw new Error('PostgreSQL does not run');
    return running;
  };
}

async function start(settings: readonly string[]): Promise<Running> {
  const directory = await temporaryDirectory('postgres');
  let server: PostgresServer;
  try {
    server = await startPostgres(directory, settings);
  } catch (caught) {
    await removeDirectory(directory);
    throw caught;
  }
  const client = await eventually('PostgreSQL to take connections', () => connected(server.url), 30_000);
  const port = Number(new URL(server.url).port);
  let places = 0;
  return {
    port,
    server,
    place: (through = port) => ({
      url: server.url.replace(`:${port}/`, `:${through}/`),
      schema: `ledger_${(places += 1)}`,
    }),
    async query(text, values = []) {
      return (await client.query<Record<string, unknown>>(text, [...values])).rows;
    },
    async stop() {
      await client.end();
      await server.stop();
      await removeDirectory(directory);
    },
  };
}

/** It listens before it takes anybody in. */
export async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined); // a test may end its server
  await client.connect();
  return client;
}

/** A ledger in a database. A crash cuts every connection of the open handle, and lets it make no other. */
export async function createPostgresUnderTest(server: TestPostgres): Promise<KeepingUnderTest> {
  const clock = createManualClock();
  const { schema = '' } = server.place();
  const folder = await temporaryDirectory('postgres-copy');
  const copy = join(folder, 'copy.sqlite');
  const left: { readonly ledger: Ledger; readonly cut: () => Promise<void> }[] = [];
  return {
    clock,
    copy: { path: copy, open: () => openSqliteLedger({ path: copy, clock, log: silentLog }) },
    async open() {
      const proxy = await openFaultProxy();
      proxy.target(server.port);
      const place = { ...server.place(proxy.port), schema };
      const ledger = await openPostgresLedger(optionsOf(place, { clock, timeOf: () => clock.monotonicMs() }));
      left.push({ ledger, cut: () => proxy.close() });
      return ledger;
    },
    async crash() {
      await left.at(-1)?.cut();
    },
    async dispose() {
      for (const { ledger } of left) await ledger.close();
      for (const { cut } of left) await cut();
      await removeDirectory(folder);
    },
  };
}

export function optionsOf(
  place: PostgresPlace,
  more: Partial<PostgresLedgerOptions> & Pick<PostgresLedgerOptions, 'clock'>,
): PostgresLedgerOptions {
  return { place, instance: 'broker-1', log: silentLog, ...more };
}
