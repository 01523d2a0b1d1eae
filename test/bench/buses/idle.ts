import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BROKER_FLAGS } from '../../../broker/node-flags.ts';
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
  readonly serverBytes: number;
  readonly brokerBytes: number;
}

const PREFETCH = 512;
/** In all, one after another at the same server. */
const SIZES = [200, 1_000];

export async function measureIdle(
  directory: string,
  stage: Stage,
  names: readonly string[],
): Promise<readonly IdleAgents[]> {
  const measured: IdleAgents[] = [];
  for (const name of names) measured.push(await measureOne(join(directory, name), stage, name));
  return measured;
}

async function measureOne(directory: string, stage: Stage, name: string): Promise<IdleAgents> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const start = BENCH_SERVERS[name];
  if (start === undefined) throw new Error(`no bus server is called ${name}`);
  const server = await start({ directory, stage, clients: SIZES.at(-1) ?? 0 });
  const broker = startPeer<BrokerQuestions>('broker-peer.ts', [...BROKER_FLAGS, '--expose-gc']);
  const adapters = startPeer<AdapterQuestions>('adapters-peer.ts');
  const agents = startPeer<AgentQuestions>('agents-peer.ts');
  try {
    await broker.ask('start', { directory, stage, prefetch: PREFETCH, server: server.broker });
    await adapters.ask('connect', { busUrl: server.serviceUrl, stage });
    return { name, ...(await fill({ server, stage, broker, agents })) };
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
}

async function fill({ server, stage, broker, agents }: Filling): Promise<Omit<IdleAgents, 'name'>> {
  const sizes: IdleSize[] = [];
  for (const size of SIZES) {
    const order = { name: `idle-${size}`, stage, count: size - (sizes.at(-1)?.agents ?? 0) };
    await server.admit(await agents.ask('enrol', order));
    await agents.ask('connect', { ...order, url: server.url });
    await agents.ask('park', order);
    const { resident } = await broker.ask('memory', null);
    const serverBytes = await processTree(server.pid).residentBytes();
    sizes.push({ agents: size, serverBytes, brokerBytes: resident });
  }
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
