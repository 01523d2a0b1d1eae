import { type LoadResult, loadResult } from '../load-result.ts';

/** Keeps so many jobs under way for so long, each followed by another the moment it is done; the last are waited for. */
export async function closedLoop(
  inFlight: number,
  seconds: number,
  runJob: (lane: number) => Promise<void>,
): Promise<LoadResult> {
  const latenciesMs: number[] = [];
  const startedMs = performance.now();
  const untilMs = startedMs + seconds * 1000;
  const keepBusy = async (lane: number): Promise<void> => {
    for (let beganMs = performance.now(); beganMs < untilMs; beganMs = performance.now()) {
      await runJob(lane);
      latenciesMs.push(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, lane) => keepBusy(lane)));
  return loadResult(latenciesMs, performance.now() - startedMs);
}
