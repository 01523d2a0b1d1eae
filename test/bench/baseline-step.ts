import { join } from 'node:path';
import { type SqliteStore, openSqliteStore } from '../../broker/ledger/sqlite-store.ts';
import { connectEcho, type EchoConnection } from './echo-client.ts';
import { acceptJob } from './full-ledger.ts';
import { quantile } from './statistics.ts';

export interface BaselineStep {
  /** Medians in milliseconds: a raw echo, a synced commit, and one after the other. */
  readonly echoMs: number;
  readonly commitMs: number;
  readonly bothMs: number;
}

/**
 * What one step of anything durable costs here: a frame to the bare echo server and back, then one job accepted by a ledger's file in
 * this very thread. The two take turns, as they do in a broker; in a loop of its own each would find the processor's caches warm.
 */
export async function measureBaselineStep(
  url: string,
  directory: string,
  seconds: number,
): Promise<BaselineStep> {
  const connection = await connectEcho(url);
  const store = openSqliteStore(join(directory, 'baseline.sqlite'));
  try {
    return await alternate(connection, store, performance.now() + seconds * 1000);
  } finally {
    store.close(0);
    connection.close();
  }
}

async function alternate(
  connection: EchoConnection,
  store: SqliteStore,
  untilMs: number,
): Promise<BaselineStep> {
  const echoes: number[] = [];
  const commits: number[] = [];
  for (let startMs = performance.now(); startMs < untilMs; startMs = performance.now()) {
    await connection.roundTrip();
    const echoedMs = performance.now();
    store.apply([acceptJob()], commits.length);
    commits.push(performance.now() - echoedMs);
    echoes.push(echoedMs - startMs);
  }
  return {
    echoMs: quantile(echoes, 0.5),
    commitMs: quantile(commits, 0.5),
    bothMs: quantile(
      echoes.map((echoMs, index) => echoMs + (commits[index] ?? 0)),
      0.5,
    ),
  };
}
