import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AdapterQuestions } from './adapters-peer.ts';
import type { AgentQuestions } from './agents-peer.ts';
import type { BrokerQuestions } from './broker-peer.ts';
import { BROKER_FLAGS } from '../../broker/node-flags.ts';
import type { BenchServer } from './buses/bench-server.ts';
import type { LoadResult } from './load-result.ts';
import { type Peer, startPeer } from './peer.ts';
import type { Stage } from './stage.ts';

/** One load and what its server's processor spent on it. */
export interface Round extends LoadResult {
  /** Server's processor time for one cycle or round trip, its threads included. */
  readonly cpuMicroseconds: number;
}

/** A server that tells its processor time. */
interface Metered {
  ask(op: 'cpu', nothing: null): Promise<number>;
}

export async function metered(server: Metered, load: () => Promise<LoadResult>): Promise<Round> {
  const before = await server.ask('cpu', null);
  const result = await load();
  return { ...result, cpuMicroseconds: ((await server.ask('cpu', null)) - before) / result.done };
}

/** A broker with its adapters, each in a process of its own, and a crew of agents that know it. */
export interface BenchInstallation {
  readonly name: string;
  readonly broker: Peer<BrokerQuestions>;
  readonly adapters: Peer<AdapterQuestions>;
  /** `asksAhead`: whether a report asks for the next job; true where it is left out. `slots` of each agent: one where it is left out. */
  run(count: number, seconds: number, asksAhead?: boolean, slots?: number): Promise<Round>;
  stop(): Promise<void>;
}

export interface InstallationOptions {
  readonly name: string;
  readonly stage: Stage;
  readonly agents: Peer<AgentQuestions>;
  readonly crew: number;
  readonly directory: string;
  readonly prefetch: number;
  /** Instead of the embedded bus. */
  readonly server?: BenchServer;
}

export async function startInstallation(options: InstallationOptions): Promise<BenchInstallation> {
  const { name, stage, agents, crew, prefetch, server } = options;
  const directory = join(options.directory, name);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const broker = startPeer<BrokerQuestions>('broker-peer.ts', BROKER_FLAGS);
  const adapters = startPeer<AdapterQuestions>('adapters-peer.ts');
  const { busUrl } = await broker.ask('start', { directory, stage, prefetch, server: server?.broker ?? {} });
  await adapters.ask('connect', { busUrl: server?.serviceUrl ?? busUrl, stage });
  if (server !== undefined) await server.admit(await agents.ask('enrol', { name, stage, count: crew }));
  await agents.ask('connect', { name, url: server?.url ?? busUrl, stage, count: crew });
  return {
    name,
    broker,
    adapters,
    run: (count, seconds, asksAhead = true, slots = 1) =>
      metered(broker, () => agents.ask('run', { name, count, seconds, asksAhead, slots })),
    stop: async () => {
      await Promise.all([adapters.stop(), broker.stop()]);
    },
  };
}

/** A new folder of the system's temporary one, for as long as `use` takes. */
export async function withDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'co-pilot-bench-'));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}
