import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostgres } from '../../servers/postgres.ts';
import { startRabbit } from '../../servers/rabbitmq.ts';
import { startRedis } from '../../servers/redis.ts';
import type { AgentQuestions } from '../agents-peer.ts';
import { startInstallation } from '../installation.ts';
import type { LoadResult } from '../load-result.ts';
import { startPeer } from '../peer.ts';
import { median } from '../statistics.ts';
import type { Stage } from '../stage.ts';
import { AGENTS } from '../throughput.ts';
import type { BullProducerQuestions } from './bullmq-producer.ts';
import type { BullWorkerQuestions } from './bullmq-worker.ts';
import { startCelery } from './celery.ts';
import type { GraphileQuestions } from './graphile-peer.ts';

/** Ours and the queues somebody would have used instead, at one number of jobs under way. */
export interface Peers {
  readonly inFlight: number;
  readonly rounds: Readonly<Record<Contender, readonly LoadResult[]>>;
  /** Our jobs per second over the contender's, by the medians. */
  readonly over: Readonly<Record<Contender, number>>;
}

export const CONTENDERS = ['ours', 'bullmq', 'celery', 'graphile-worker'] as const;
export type Contender = (typeof CONTENDERS)[number];
type Loads = Readonly<Record<Contender, (inFlight: number, seconds: number) => Promise<LoadResult>>>;

const SECONDS = 4;
const WARM_SECONDS = 3;
const PREFETCH = 512;
const BULL_QUEUE = 'bench';

/** Ours and its peers in turn, each with settings under which no job is lost in a power cut; a hundred jobs under way, and one. */
export async function measurePeers(
  directory: string,
  stage: Stage,
  rounds: number,
): Promise<readonly Peers[]> {
  const stops: (() => Promise<void>)[] = [];
  const keep = <T extends { stop(): Promise<void> }>(part: T): T => {
    stops.unshift(() => part.stop());
    return part;
  };
  try {
    const loads = await startContenders(directory, stage, keep);
    const measured: Peers[] = [];
    // The hundred first: whoever has done many jobs has been compiled, each contender alike.
    for (const inFlight of [AGENTS, 1]) measured.push(await takeTurns(loads, inFlight, rounds));
    return measured;
  } finally {
    for (const stop of stops) await stop();
  }
}

async function startContenders(
  directory: string,
  stage: Stage,
  keep: <T extends { stop(): Promise<void> }>(part: T) => T,
): Promise<Loads> {
  const agents = keep(startPeer<AgentQuestions>('agents-peer.ts'));
  const ours = keep(
    await startInstallation({ name: 'peers', stage, agents, crew: AGENTS, directory, prefetch: PREFETCH }),
  );
  const redis = keep(await startRedis(join(directory, 'redis')));
  const worker = keep(startPeer<BullWorkerQuestions>('peers/bullmq-worker.ts'));
  const producer = keep(startPeer<BullProducerQuestions>('peers/bullmq-producer.ts'));
  await worker.ask('start', { port: redis.port, queue: BULL_QUEUE, concurrency: AGENTS });
  await producer.ask('start', { port: redis.port, queue: BULL_QUEUE });
  const rabbit = keep(await startRabbit(join(directory, 'rabbitmq')));
  const celery = keep(await startCelery(rabbit.url, join(directory, 'celery')));
  await chmod(directory, 0o711); // PostgreSQL runs as another user, below it
  const postgres = keep(await startPostgres(join(directory, 'postgres')));
  const graphile = keep(startPeer<GraphileQuestions>('peers/graphile-peer.ts'));
  await graphile.ask('start', { url: postgres.url, concurrency: AGENTS });
  return {
    ours: (inFlight, seconds) => ours.run(inFlight, seconds),
    bullmq: (inFlight, seconds) => producer.ask('run', { inFlight, seconds }),
    celery: (inFlight, seconds) => celery.run({ inFlight, seconds }),
    'graphile-worker': (inFlight, seconds) => graphile.ask('run', { inFlight, seconds }),
  };
}

async function takeTurns(loads: Loads, inFlight: number, rounds: number): Promise<Peers> {
  const done: Record<Contender, LoadResult[]> = { ours: [], bullmq: [], celery: [], 'graphile-worker': [] };
  for (const contender of CONTENDERS) await loads[contender](inFlight, WARM_SECONDS);
  for (let round = 0; round < rounds; round += 1)
    for (const contender of CONTENDERS) done[contender].push(await loads[contender](inFlight, SECONDS));
  const rate = (contender: Contender): number => median(done[contender].map(({ perSecond }) => perSecond));
  return {
    inFlight,
    rounds: done,
    over: {
      ours: 1,
      bullmq: rate('ours') / rate('bullmq'),
      celery: rate('ours') / rate('celery'),
      'graphile-worker': rate('ours') / rate('graphile-worker'),
    },
  };
}
