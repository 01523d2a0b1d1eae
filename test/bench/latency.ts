import type { BaselineStep } from './baseline-step.ts';
import { median } from './statistics.ts';
import { measureSyncedCommit } from './synced-commit.ts';
import type { ThroughputParts } from './throughput.ts';

export interface LatencyRound extends BaselineStep {
  /** A bare row, committed and synced in a loop of its own: what the disk and SQLite can do at best. */
  readonly bareCommitMs: number;
  readonly committedMs: number;
  /** The same where each report asks for the next job, whose lease and capability come with the answer. */
  readonly withNextMs: number;
  /** `committedMs` over `bothMs`. */
  readonly ratio: number;
}

export interface Latency {
  readonly rounds: readonly LatencyRound[];
  /** Median of the rounds' ratios. */
  readonly ratio: number;
}

/** A broker that has run for a while has been compiled. */
const WARM_UP = { agents: 100, seconds: 5 };
const STEP_SECONDS = 2;
const COMMIT_SECONDS = 1;
const SECONDS = 3;

/** Claim (b): one agent and one job at a time, which it reports the moment it gets it. */
export async function measureLatency(
  { agents, echo, ours }: Pick<ThroughputParts, 'agents' | 'echo' | 'ours'>,
  directory: string,
  rounds: number,
): Promise<Latency> {
  const done: LatencyRound[] = [];
  await ours.run(WARM_UP.agents, WARM_UP.seconds);
  for (let round = 0; round < rounds; round += 1) {
    const step = await agents.ask('step', { url: echo.url, directory, seconds: STEP_SECONDS });
    const bareCommitMs = measureSyncedCommit(directory, COMMIT_SECONDS);
    const { p50Ms: committedMs } = await ours.run(1, SECONDS, false);
    const { p50Ms: withNextMs } = await ours.run(1, SECONDS, true);
    done.push({ ...step, bareCommitMs, committedMs, withNextMs, ratio: committedMs / step.bothMs });
  }
  return { rounds: done, ratio: median(done.map(({ ratio }) => ratio)) };
}
