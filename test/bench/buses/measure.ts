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
  readonly rawAlone: LoadResult;
  readonly alone: Round;
}

const SECONDS = 4;
const PREFETCH = 512;

export async function measureBuses(
  directory: string,
  stage: Stage,
  rounds: number,
): Promise<readonly MeasuredBus[]> {
  const measured: MeasuredBus[] = [];
  for (const [name, start] of Object.entries(BENCH_SERVERS))
    measured.push(await measureBus({ name, start, directory: join(directory, name), stage, rounds }));
  return measured;
}

interface BusOrder {
  readonly name: string;
  readonly start: StartBenchServer;
  readonly directory: string;
  readonly stage: Stage;
  readonly rounds: number;
}

async function measureBus({ name, start, directory, stage, rounds }: BusOrder): Promise<MeasuredBus> {
  await mkdir(directory, { recursive: true });
  const stops: (() => Promise<void>)[] = [];
  const keep = <T extends { stop(): Promise<void> }>(part: T): T => {
    stops.unshift(() => part.stop());
    return part;
  };
  try {
    const server = keep(await start(directory, stage));
    const agents = keep(startPeer<AgentQuestions>('agents-peer.ts'));
    const common = { stage, agents, crew: AGENTS, directory, prefetch: PREFETCH };
    const webSocket = keep(await startInstallation({ ...common, name: 'websocket' }));
    const ours = keep(await startInstallation({ ...common, name, server }));
    const raw = keep(await startRaw(server, keep));
    await warm((seconds) => webSocket.run(AGENTS, seconds));
    await warm((seconds) => ours.run(AGENTS, seconds));
    const done: BusRound[] = [];
    for (let round = 0; round < rounds; round += 1) done.push(await takeTurns({ webSocket, ours, raw }));
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
}

async function takeTurns({ webSocket, ours, raw }: Parts): Promise<BusRound> {
  return {
    webSocket: await webSocket.run(AGENTS, SECONDS),
    raw: await raw.ask('run', { count: AGENTS, seconds: SECONDS }),
    ours: await ours.run(AGENTS, SECONDS),
    rawAlone: await raw.ask('run', { count: 1, seconds: SECONDS }),
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
