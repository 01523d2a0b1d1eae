import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkLedger } from '../../../broker/ledger/check-ledger.ts';
import { openPostgresLedger } from '../../../broker/ledger/postgres.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { eventually, eventuallyTrue } from '../../doubles/eventually.ts';
import { openFaultProxy } from '../../doubles/fault-proxy.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { startStandby } from '../../servers/postgres.ts';
import { accept } from '../../unit/lease-machine/world.ts';
import { connected, optionsOf, usePostgres } from './use-postgres.ts';

const primary = usePostgres();
const CLIENTS = 10;
const JOBS_A_CLIENT = 30;

describe('a database that fails over', () => {
  it('I4 to its synchronous standby has everything that was acknowledged, and the broker goes on', async () => {
    const directory = await temporaryDirectory('standby');
    const standby = await startStandby(primary().server, directory, 'standby');
    const promoter = await eventually('the standby', () => connected(standby.url), 30_000);
    await primary().query("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    await primary().query('SELECT pg_reload_conf()');
    await eventuallyTrue('a synchronous standby', async () => (await syncState()) === 'sync', 20_000);

    const proxy = await openFaultProxy();
    proxy.target(primary().port);
    const place = primary().place(proxy.port);
    const ledger = await openPostgresLedger(optionsOf(place, { clock: nodeClock, failover: true }));
    const acknowledged: string[] = [];
    let failedOver: Promise<void> | undefined;

    async function failOver(): Promise<void> {
      process.kill(primary().server.pid, 'SIGKILL');
      proxy.target(Number(new URL(standby.url).port));
      await promoter.query('SELECT pg_promote(true)');
    }
    async function work(client: number): Promise<void> {
      for (let at = 0; at < JOBS_A_CLIENT; at++) {
        const job = `${client}-${at}`;
        // Asked again as an adapter asks: a job that is there is known.
        await eventually('an answer', async () => (await ledger.apply([accept(job)]))[0], 30_000);
        acknowledged.push(job);
        if (acknowledged.length === (CLIENTS * JOBS_A_CLIENT) / 2) failedOver = failOver();
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, (_, client) => work(client)));
    await failedOver;

    const { rows } = await promoter.query<{ id: string }>(`SELECT id FROM "${place.schema!}".job`);
    expect(rows.map(({ id }) => id).toSorted()).toEqual(acknowledged.toSorted());
    const copy = join(directory, 'copy.sqlite');
    await ledger.snapshot(copy, () => undefined);
    expect(checkLedger(copy, () => undefined).faults).toEqual([]);
    await ledger.close();
    await proxy.close();
    await promoter.end();
    await standby.stop();
    await removeDirectory(directory);
  });

  async function syncState(): Promise<unknown> {
    return (await primary().query('SELECT sync_state FROM pg_stat_replication'))[0]?.['sync_state'];
  }
});
