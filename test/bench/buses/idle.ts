import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BROKER_FLAGS } from '../../../broker/node-flags.ts';
import type { BrokerStatus } from '../../../broker/service/broker.ts';
import { askBroker } from '../../../cli/connection.ts';
import { eventually } from '../../doubles/eventually.ts';
import type { AdapterQuestions } from '../adapters-peer.ts';
import type { AgentQuestions } from '../agents-peer.ts';
import type { BrokerQuestions } from '../broker-peer.ts';
import { type Peer, startPeer } from '../peer.ts';
import { processTree } from '../process-tree.ts';
import type { Stage } from '../stage.ts';
import type { BenchServer } from './bench-server.ts';
import { BENCH_SERVERS } from './servers.ts';

/** Agents that wait for work on one bus server, and what they cost there. */
export interface IdleAgents {
  readonly name: string;
  readonly sizes: readonly IdleSize[];
  /** From the smallest size to the largest. */
  readonly serverBytesPerAgent: number;
  readonly brokerBytesPerAgent: number;
}

export interface IdleSize {
  readonly agents: number;
  /** From the first connection of those that came last until all were there. */
  readonly seconds: number;
  /** Of one processor, while nothing happens but what keeps connections alive, in percent. */
  readonly serverPercent: number;
  readonly brokerPercent: number;
  readonly serverBytes: number;
  readonly brokerBytes: number;
}

const PREFETCH = 512;
/** Twice as long as most are silent towards each other. */
const REST_MS = 20_000;
const ALL_PARKED_MS = 60_000;

export async function measureIdle(
  directory: string,
  stage: Stage,
  names: readonly string[],
  sizes: readonly number[],
): Promise<readonly IdleAgents[]> {
  const measured: IdleAgents[] = [];
  for (const name of names) measured.push(await measureOne(join(directory, name), stage, name, sizes));
  return measured;
}

async function measureOne(
  directory: string,
  stage: Stage,
  name: string,
  sizes: readonly number[],
): Promise<IdleAgents> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const start = BENCH_SERVERS[name];
  if (start === undefined) throw new Error(`no bus server is called ${name}`);
  const server = await start({ directory, stage, clients: sizes.at(-1) ?? 0 });
  const broker = startPeer<BrokerQuestions>('broker-peer.ts', [...BROKER_FLAGS, '--expose-gc']);
  const adapters = startPeer<AdapterQuestions>('adapters-peer.ts');
  const agents = startPeer<AgentQuestions>('agents-peer.ts');
  try {
    await broker.ask('start', { directory, stage, prefetch: PREFETCH, server: server.broker });
    await adapters.ask('connect', { busUrl: server.serviceUrl, stage });
    return { name, ...(await fill({ server, stage, broker, agents, directory }, sizes)) };
  } finally {
    await agents.stop();
    await Promise.all([adapters.stop(), broker.stop()]);
    await server.stop();
  }
}

interface Filling {
  readonly server: BenchServer;
  readonly stage: Stage;
  readonly broker: Peer<BrokerQuestions>;
  readonly agents: Peer<AgentQuestions>;
  /** Where the broker answers commands. */
  readonly directory: string;
}

async function fill(filling: Filling, wanted: readonly number[]): Promise<Omit<IdleAgents, 'name'>> {
  const sizes: IdleSize[] = [];
  for (const size of wanted) sizes.push(await grow(filling, sizes.at(-1)?.agents ?? 0, size));
  const growth = (of: (size: IdleSize) => number): number => {
    const [least, most] = [sizes[0], sizes.at(-1)];
    if (least === undefined || most === undefined || least === most) return Number.NaN;
    return (of(most) - of(least)) / (most.agents - least.agents);
  };
  return {
    sizes,
    serverBytesPerAgent: growth(({ serverBytes }) => serverBytes),
    brokerBytesPerAgent: growth(({ brokerBytes }) => brokerBytes),
  };
}

async function grow(filling: Filling, before: number, size: number): Promise<IdleSize> {
  const { server, stage, broker, agents, directory } = filling;
  const order = { name: `idle-${size}`, stage, count: size - before };
  await server.admit(await agents.ask('enrol', order));
  const startedMs = performance.now();
  await agents.ask('connect', { ...order, url: server.url });
  const seconds = (performance.now() - startedMs) / 1000;
  await agents.ask('park', order);
  await allParked(directory, size);
  const percents = await atRest(server, broker);
  const { resident } = await broker.ask('memory', null);
  const serverBytes = await processTree(server.pid).residentBytes();
  // Whoever lost its connection meanwhile waits no more.
  await allParked(directory, size);
  return { agents: size, seconds, ...percents, serverBytes, brokerBytes: resident };
}

async function allParked(directory: string, size: number): Promise<void> {
  await eventually(
    `${size} agents to wait for work`,
    async () => {
      const { parkedRequests } = await askBroker<BrokerStatus>(directory, 'GET', '/v1/status');
      if (parkedRequests !== size) throw new Error(`${parkedRequests} do`);
      return parkedRequests;
    },
    ALL_PARKED_MS,
  );
}

async function atRest(
  server: BenchServer,
  broker: Peer<BrokerQuestions>,
): Promise<Pick<IdleSize, 'serverPercent' | 'brokerPercent'>> {
  const used = async (): Promise<readonly [number, number]> => [
    await processTree(server.pid).cpuMicroseconds(),
    await broker.ask('cpu', null),
  ];
  const [serverBefore, brokerBefore] = await used();
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const [serverAfter, brokerAfter] = await used();
  const percent = (microseconds: number): number => microseconds / (REST_MS * 10);
  return {
    serverPercent: percent(serverAfter - serverBefore),
    brokerPercent: percent(brokerAfter - brokerBefore),
  };
}
