import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BROKER_FLAGS } from '../../broker/node-flags.ts';
import type { AdapterQuestions } from './adapters-peer.ts';
import type { AgentQuestions } from './agents-peer.ts';
import type { BrokerQuestions } from './broker-peer.ts';
import type { Arrivals } from './open-loop.ts';
import { startPeer } from './peer.ts';
import { median } from './statistics.ts';
import type { Stage } from './stage.ts';

/** So many agents at one broker, all of them parked but those that work. */
export interface Crowd {
  readonly agents: number;
  /** A hundred at a time, the next begun when one is done: the most this machine does of the same. */
  readonly mostPerSecond: number;
  readonly rounds: readonly Arrivals[];
  /** Median of the rounds: from a request until its job, for all but one in a hundred. */
  readonly p99Ms: number;
  /** What the broker's memory grew by for each agent that is connected and parked. */
  readonly bytesPerIdleAgent: number;
}

const AT_ONCE = 100;
const MOST_SECONDS = 5;
const SECONDS = 10;
const PREFETCH = 512;

/** Half of the most that this machine does, arriving when it will, with that many agents connected. */
export async function measureCrowd(
  directory: string,
  stage: Stage,
  agents: number,
  rounds: number,
): Promise<Crowd> {
  const name = `crowd-${agents}`;
  const own = join(directory, name);
  await mkdir(own, { recursive: true, mode: 0o700 });
  const broker = startPeer<BrokerQuestions>('broker-peer.ts', [...BROKER_FLAGS, '--expose-gc']);
  const adapters = startPeer<AdapterQuestions>('adapters-peer.ts');
  const load = startPeer<AgentQuestions>('agents-peer.ts');
  try {
    const { busUrl } = await broker.ask('start', { directory: own, stage, prefetch: PREFETCH });
    await adapters.ask('connect', { busUrl, stage });
    const { resident: emptyBytes } = await broker.ask('memory', null);
    await load.ask('connect', { name, url: busUrl, stage, count: agents });
    await load.ask('park', { name });
    const { resident: fullBytes } = await broker.ask('memory', null);
    const { mostPerSecond, done } = await arrivals(load, name, rounds);
    return {
      agents,
      mostPerSecond,
      rounds: done,
      p99Ms: median(done.map(({ p99Ms }) => p99Ms)),
      bytesPerIdleAgent: (fullBytes - emptyBytes) / agents,
    };
  } finally {
    await load.stop();
    await Promise.all([adapters.stop(), broker.stop()]);
  }
}

async function arrivals(
  load: ReturnType<typeof startPeer<AgentQuestions>>,
  name: string,
  rounds: number,
): Promise<{ readonly mostPerSecond: number; readonly done: readonly Arrivals[] }> {
  const closed = { name, atOnce: AT_ONCE, seconds: MOST_SECONDS };
  await load.ask('most', closed);
  const mostPerSecond = await load.ask('most', closed);
  const done: Arrivals[] = [];
  for (let round = 0; round < rounds; round += 1)
    done.push(await load.ask('arrivals', { name, perSecond: mostPerSecond / 2, seconds: SECONDS }));
  return { mostPerSecond, done };
}
