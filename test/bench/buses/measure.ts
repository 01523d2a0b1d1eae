import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentQuestions } from '../agents-peer.ts';
import { type BenchInstallation, type Round, startInstallation } from '../installation.ts';
import type { LoadResult } from '../load-result.ts';
import { type Peer, startPeer } from '../peer.ts';
import type { Stage } from '../stage.ts';
import { median } from '../statistics.ts';
import { AGENTS, warm } from '../throughput.ts';
import type { BenchServer, StartBenchServer } from './bench-server.ts';
import { type CpuPerJob, runCounted } from './run-counted.ts';
import type { RawQuestions } from './raw-peer.ts';
import { BENCH_SERVERS } from './servers.ts';

/** One bus server: full cycles over it, raw request and reply over it, and full cycles over our own WebSocket, in turn. */
export interface MeasuredBus {
  readonly name: string;
  readonly rounds: readonly BusRound[];
  /** Messages that the bus carries for a job, between broker and agents and between broker and adapters. */
  readonly messagesPerJob: number;
  /** Cycles per second over request-replies of as many messages. */
  readonly ofRaw: number;
  /** Cycles per second over those on our own WebSocket. */
  readonly ofWebSocket: number;
  /** p50 from report to verdict over a raw round trip's, one agent and one client. */
  readonly p50OverRaw: number;
}

export interface BusRound {
  readonly webSocket: Round;
  readonly raw: LoadResult;
  readonly ours: Round;
  readonly cpu: CpuPerJob;
  readonly rawAlone: LoadResult;
  readonly webSocketAlone: Round;
  readonly alone: Round;
}

/** A cycle over a server is many times as many calls as one of a test that has to be this exact. */
const WARM_CYCLES = 4_000;
const SECONDS = 4;
const PREFETCH = 512;
const WEBSOCKET = 'websocket';

/** Those of the bus servers that are named, by turns with our own WebSocket. */
export async function measureBuses(
  directory: string,
  stage: Stage,
  rounds: number,
  names: readonly string[],
): Promise<readonly MeasuredBus[]> {
  const measured: MeasuredBus[] = [];
  const agents = startPeer<AgentQuestions>('agents-peer.ts');
  const common = { stage, agents, crew: AGENTS, prefetch: PREFETCH };
  try {
    const webSocket = await startInstallation({ ...common, directory, name: WEBSOCKET });
    try {
      await warm((seconds) => webSocket.run(AGENTS, seconds), WARM_CYCLES);
      for (const [name, start] of Object.entries(BENCH_SERVERS)) {
        const own = join(directory, name);
        if (names.includes(name))
          measured.push(await measureBus({ ...common, webSocket, name, start, directory: own, rounds }));
      }
    } finally {
      await webSocket.stop();
    }
  } finally {
    await agents.stop();
  }
  return measured;
}

interface BusOrder {
  readonly name: string;
  readonly start: StartBenchServer;
  readonly webSocket: BenchInstallation;
  readonly agents: Peer<AgentQuestions>;
  readonly crew: number;
  readonly prefetch: number;
  readonly directory: string;
  readonly stage: Stage;
  readonly rounds: number;
}

async function measureBus({ start, webSocket, rounds, ...common }: BusOrder): Promise<MeasuredBus> {
  const { name, directory, stage, agents, crew } = common;
  await mkdir(directory, { recursive: true });
  const stops: (() => Promise<void>)[] = [];
  const keep = <T extends { stop(): Promise<void> }>(part: T): T => {
    stops.unshift(() => part.stop());
    return part;
  };
  try {
    // Agents of the other installation are there too, and are not clients of this server.
    const server = keep(await start({ directory, stage, clients: 2 * crew }));
    const ours = keep(await startInstallation({ ...common, server }));
    stops.unshift(() => agents.ask('leave', { name }));
    const raw = keep(await startRaw(server, keep));
    await warm((seconds) => ours.run(AGENTS, seconds), WARM_CYCLES);
    const done: BusRound[] = [];
    for (let round = 0; round < rounds; round += 1)
      done.push(await takeTurns({ webSocket, ours, raw, agents, server }));
    const messagesPerJob = await countMessages(ours, agents);
    return { name, rounds: done, messagesPerJob, ...ratiosOf(done, messagesPerJob) };
  } finally {
    for (const stop of stops) await stop();
  }
}

async function startRaw(
  server: BenchServer,
  keep: (part: Peer<RawQuestions>) => Peer<RawQuestions>,
): Promise<Peer<RawQuestions>> {
  const echo = keep(startPeer<RawQuestions>('buses/raw-peer.ts'));
  await echo.ask('serve', server.raw);
  const clients = startPeer<RawQuestions>('buses/raw-peer.ts');
  await clients.ask('connect', { transport: server.raw, count: AGENTS });
  return clients;
}

interface Parts {
  readonly webSocket: BenchInstallation;
  readonly ours: BenchInstallation;
  readonly raw: Peer<RawQuestions>;
  readonly agents: Peer<AgentQuestions>;
  readonly server: BenchServer;
}

async function takeTurns({ webSocket, ours, raw, agents, server }: Parts): Promise<BusRound> {
  return {
    webSocket: await webSocket.run(AGENTS, SECONDS),
    raw: await raw.ask('run', { count: AGENTS, seconds: SECONDS }),
    ...(await runCounted({ ours, agents, server }, AGENTS, SECONDS)),
    rawAlone: await raw.ask('run', { count: 1, seconds: SECONDS }),
    webSocketAlone: await webSocket.run(1, SECONDS, false),
    alone: await ours.run(1, SECONDS, false),
  };
}

async function countMessages(ours: BenchInstallation, agents: Peer<AgentQuestions>): Promise<number> {
  const frames = async (): Promise<number> =>
    (await agents.ask('frames', null)) + (await ours.adapters.ask('frames', null));
  const before = await frames();
  const { done } = await ours.run(AGENTS, SECONDS);
  return ((await frames()) - before) / done;
}

function ratiosOf(
  rounds: readonly BusRound[],
  messagesPerJob: number,
): Pick<MeasuredBus, 'ofRaw' | 'ofWebSocket' | 'p50OverRaw'> {
  const middle = (of: (round: BusRound) => number): number => median(rounds.map(of));
  const cycles = middle(({ ours }) => ours.perSecond);
  const messages = 2 * middle(({ raw }) => raw.perSecond);
  return {
    ofRaw: cycles / (messages / messagesPerJob),
    ofWebSocket: cycles / middle(({ webSocket }) => webSocket.perSecond),
    p50OverRaw: middle(({ alone }) => alone.p50Ms) / middle(({ rawAlone }) => rawAlone.p50Ms),
  };
}
