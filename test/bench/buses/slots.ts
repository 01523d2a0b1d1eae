import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentQuestions } from '../agents-peer.ts';
import { type BenchInstallation, startInstallation } from '../installation.ts';
import { startPeer } from '../peer.ts';
import type { Stage } from '../stage.ts';
import { median } from '../statistics.ts';
import { warm } from '../throughput.ts';
import { type CpuPerJob, runCounted } from './run-counted.ts';
import { BENCH_SERVERS } from './servers.ts';

/** As many jobs at once over one bus server, by many agents with few slots and by few with many. */
export interface MeasuredSlots {
  readonly name: string;
  readonly crews: readonly MeasuredCrew[];
}

export interface MeasuredCrew {
  readonly agents: number;
  readonly slots: number;
  /** Medians. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly cpu: CpuPerJob;
}

/** About as many jobs under way each time; 63 are the most slots that the protocol knows. */
const CREWS = [
  { agents: 252, slots: 1 },
  { agents: 16, slots: 16 },
  { agents: 8, slots: 32 },
  { agents: 4, slots: 63 },
] as const;
const MOST_AGENTS = CREWS[0].agents;
const PREFETCH = 512;
const WARM_CYCLES = 4_000;
const SECONDS = 4;

export async function measureSlots(
  directory: string,
  stage: Stage,
  rounds: number,
  names: readonly string[],
): Promise<readonly MeasuredSlots[]> {
  const measured: MeasuredSlots[] = [];
  for (const name of names) measured.push(await measureOne(join(directory, name), stage, rounds, name));
  return measured;
}

async function measureOne(
  directory: string,
  stage: Stage,
  rounds: number,
  name: string,
): Promise<MeasuredSlots> {
  await mkdir(directory, { recursive: true });
  const start = BENCH_SERVERS[name];
  if (start === undefined) throw new Error(`no bus server is called ${name}`);
  const server = await start({ directory, stage, clients: MOST_AGENTS });
  const agents = startPeer<AgentQuestions>('agents-peer.ts');
  let ours: BenchInstallation | undefined;
  try {
    const common = { stage, agents, crew: MOST_AGENTS, prefetch: PREFETCH };
    const installation = (ours = await startInstallation({ ...common, directory, name, server }));
    await warm((seconds) => installation.run(MOST_AGENTS, seconds), WARM_CYCLES);
    const found = CREWS.map((crew) => ({ crew, done: noRounds() }));
    for (let round = 0; round < rounds; round += 1)
      for (const { crew, done } of found)
        done.push(await runCounted({ ours: installation, agents, server }, crew.agents, SECONDS, crew.slots));
    return { name, crews: found.map(({ crew, done }) => ({ ...crew, ...middleOf(done) })) };
  } finally {
    await agents.stop();
    await ours?.stop();
    await server.stop();
  }
}

/** Rounds of one crew. */
type Counted = Awaited<ReturnType<typeof runCounted>>;

function noRounds(): Counted[] {
  return [];
}

function middleOf(done: readonly Counted[]): Omit<MeasuredCrew, 'agents' | 'slots'> {
  const middle = (of: (one: Counted) => number): number => median(done.map(of));
  return {
    perSecond: middle(({ ours }) => ours.perSecond),
    p50Ms: middle(({ ours }) => ours.p50Ms),
    p95Ms: middle(({ ours }) => ours.p95Ms),
    cpu: {
      server: middle(({ cpu }) => cpu.server),
      broker: middle(({ cpu }) => cpu.broker),
      adapters: middle(({ cpu }) => cpu.adapters),
      agents: middle(({ cpu }) => cpu.agents),
    },
  };
}
