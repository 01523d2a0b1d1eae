import type { BenchAgent } from './bench-agent.ts';
import { quantile } from './statistics.ts';

/** From when a job should have been asked for until its lease came. */
export interface Arrivals {
  readonly asked: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Arrivals that found no idle agent; they waited for one. */
  readonly late: number;
}

/**
 * Jobs are asked for at random times of their own (a Poisson process), however long the earlier ones take; so what waits is counted, which
 * a load that waits for each answer hides. Each is asked for by an idle agent, which parks again once its job is committed.
 */
export async function openLoop(
  crew: readonly BenchAgent[],
  perSecond: number,
  seconds: number,
): Promise<Arrivals> {
  const idle = [...crew];
  const waits: number[] = [];
  const underWay = new Set<Promise<void>>();
  const backlog: number[] = [];
  let late = 0;

  const begin = (agent: BenchAgent, dueMs: number): void => {
    const job = agent.serve().then((leasedMs) => {
      waits.push(leasedMs - dueMs);
      underWay.delete(job);
      const next = backlog.shift();
      if (next === undefined) {
        agent.park();
        idle.push(agent);
      } else begin(agent, next);
    });
    underWay.add(job);
  };
  const arrive = (dueMs: number): void => {
    const agent = idle.shift();
    if (agent !== undefined) return begin(agent, dueMs);
    late += 1;
    backlog.push(dueMs);
  };

  const startedMs = performance.now();
  const untilMs = startedMs + seconds * 1000;
  let dueMs = startedMs;
  let asked = 0;
  while (dueMs < untilMs) {
    while (dueMs <= performance.now() && dueMs < untilMs) {
      arrive(dueMs);
      asked += 1;
      dueMs += (-Math.log(1 - Math.random()) * 1000) / perSecond;
    }
    await nextTurn();
  }
  while (underWay.size > 0) await Promise.all(underWay);
  return {
    asked,
    perSecond: (asked * 1000) / (performance.now() - startedMs),
    p50Ms: quantile(waits, 0.5),
    p99Ms: quantile(waits, 0.99),
    late,
  };
}

/** The same jobs one after the other by so many agents at a time, each parked again after every job: jobs per second at most. */
export async function closedLoop(
  crew: readonly BenchAgent[],
  atOnce: number,
  seconds: number,
): Promise<number> {
  const idle = [...crew];
  const startedMs = performance.now();
  const untilMs = startedMs + seconds * 1000;
  let done = 0;
  const chain = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const agent = idle.shift();
      if (agent === undefined) throw new Error('there are fewer agents than are to work at once');
      await agent.serve();
      agent.park();
      idle.push(agent);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, chain));
  return (done * 1000) / (performance.now() - startedMs);
}

/** A millisecond at least, so that the load does not take the processor it measures. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
