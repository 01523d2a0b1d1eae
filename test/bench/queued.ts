import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentQuestions } from './agents-peer.ts';
import { fillLedger } from './full-ledger.ts';
import { type BenchInstallation, type Round, startInstallation } from './installation.ts';
import type { Peer } from './peer.ts';
import type { Stage } from './stage.ts';
import { median } from './statistics.ts';
import { AGENTS, warm } from './throughput.ts';

export interface QueuedSize {
  readonly jobs: number;
  readonly rounds: readonly Round[];
  /** Median of the broker's processor time for one cycle. */
  readonly cpuMicroseconds: number;
  /** The same over that of the smallest queue. */
  readonly overSmallest: number;
}

export interface Queued {
  readonly sizes: readonly QueuedSize[];
  /** Statements of the hot path that read a whole table. */
  readonly scans: readonly string[];
}

const SECONDS = 4;

/** Claim (c): a broker for each size, all there at once and idle but for one; each keeps its queue at its size. */
export async function measureQueued(
  options: { readonly stage: Stage; readonly agents: Peer<AgentQuestions>; readonly directory: string },
  sizes: readonly number[],
  rounds: number,
): Promise<Queued> {
  const scans: string[] = [];
  const brokers: { readonly jobs: number; readonly installation: BenchInstallation; rounds: Round[] }[] = [];
  for (const jobs of sizes) {
    const name = `queued-${jobs}`;
    await mkdir(join(options.directory, name), { mode: 0o700 });
    scans.push(...fillLedger(join(options.directory, name, 'ledger.sqlite'), jobs));
    // A broker fetches while less than half of its prefetch is there.
    const installation = await startInstallation({ ...options, name, crew: AGENTS, prefetch: 2 * jobs });
    brokers.push({ jobs, installation, rounds: [] });
  }
  for (const { installation } of brokers) await warm((seconds) => installation.run(AGENTS, seconds));
  for (let round = 0; round < rounds; round += 1)
    for (const broker of brokers) broker.rounds.push(await broker.installation.run(AGENTS, SECONDS));
  await Promise.all(brokers.map(({ installation }) => installation.stop()));
  const cpu = brokers.map((broker) => median(broker.rounds.map(({ cpuMicroseconds }) => cpuMicroseconds)));
  return {
    scans: [...new Set(scans)],
    sizes: brokers.map(({ jobs, rounds: done }, index) => {
      const cpuMicroseconds = cpu[index] ?? 0;
      return { jobs, rounds: done, cpuMicroseconds, overSmallest: cpuMicroseconds / (cpu[0] ?? 1) };
    }),
  };
}
