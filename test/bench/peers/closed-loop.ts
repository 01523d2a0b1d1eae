import type { LoadResult } from '../agents-peer.ts';
import { quantile } from '../statistics.ts';

/** Keeps so many jobs under way for so long, each followed by another the moment it is done; the last are waited for. */
export async function closedLoop(
  inFlight: number,
  seconds: number,
  runJob: () => Promise<void>,
): Promise<LoadResult> {
  const latenciesMs: number[] = [];
  const startedMs = performance.now();
  const untilMs = startedMs + seconds * 1000;
  const lane = async (): Promise<void> => {
    for (let beganMs = performance.now(); beganMs < untilMs; beganMs = performance.now()) {
      await runJob();
      latenciesMs.push(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return {
    done: latenciesMs.length,
    perSecond: (latenciesMs.length * 1000) / (performance.now() - startedMs),
    p50Ms: quantile(latenciesMs, 0.5),
    p95Ms: quantile(latenciesMs, 0.95),
  };
}
