/** Simulated agents, and the clients of the bare echo, in one process: the load. */
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { silentLog } from '../doubles/silent-log.ts';
import { type BaselineStep, measureBaselineStep } from './baseline-step.ts';
import { BenchAgent } from './bench-agent.ts';
import { runEcho } from './echo-client.ts';
import { cpuMicroseconds, servePeer } from './serve-peer.ts';
import { enrolAgent, type Stage, stageKeys } from './stage.ts';
import { type Arrivals, closedLoop, openLoop } from './open-loop.ts';
import { quantile } from './statistics.ts';
import { unsealed } from './unsealed.ts';

export interface AgentQuestions {
  /** Connects `count` agents to an end point under a name. */
  connect(to: {
    readonly name: string;
    readonly url: string;
    readonly stage: Stage;
    readonly count: number;
    /** Whether frames are sealed; they are where it is left out. */
    readonly seals?: boolean;
  }): Promise<void>;
  /** Lets `count` of them work for so long; the last jobs are finished, so that nothing is left under way. */
  run(order: {
    readonly name: string;
    readonly count: number;
    readonly seconds: number;
    /** Whether a report asks for the next job. */
    readonly asksAhead: boolean;
  }): Promise<LoadResult>;
  echo(order: {
    readonly url: string;
    readonly connections: number;
    readonly seconds: number;
  }): Promise<LoadResult>;
  step(order: {
    readonly url: string;
    readonly directory: string;
    readonly seconds: number;
  }): Promise<BaselineStep>;
  /** All agents of the crew wait for work that never comes. */
  park(order: { readonly name: string }): void;
  /** Jobs are asked for at times of their own, however long the earlier ones take, by agents that wait meanwhile. */
  arrivals(order: {
    readonly name: string;
    readonly perSecond: number;
    readonly seconds: number;
  }): Promise<Arrivals>;
  /** The most jobs per second that are asked for, done and parked after in the same way. */
  most(order: { readonly name: string; readonly atOnce: number; readonly seconds: number }): Promise<number>;
  cpu(nothing: null): number;
}

export interface LoadResult {
  /** Cycles or round trips. */
  readonly done: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}

const sealing = createNodeRuntime(silentLog);
/** Agents that shake hands at the same time. */
const CONNECTING = 200;
const crews = new Map<string, readonly BenchAgent[]>();

const step: AgentQuestions['step'] = ({ url, directory, seconds }) =>
  measureBaselineStep(url, directory, seconds);

const park: AgentQuestions['park'] = ({ name }) => {
  for (const agent of crews.get(name) ?? []) agent.park();
};
const arrivals: AgentQuestions['arrivals'] = ({ name, perSecond, seconds }) =>
  openLoop(crews.get(name) ?? [], perSecond, seconds);

const most: AgentQuestions['most'] = ({ name, atOnce, seconds }) =>
  closedLoop(crews.get(name) ?? [], atOnce, seconds);

servePeer<AgentQuestions>(
  { connect, run, echo, step, park, arrivals, most, cpu: cpuMicroseconds },
  async () => {
    await Promise.all([...crews.values()].flat().map((agent) => agent.stop()));
  },
);

async function connect(to: Parameters<AgentQuestions['connect']>[0]): Promise<void> {
  const { name, url, stage, count, seals = true } = to;
  const runtime = seals ? sealing : { ...sealing, crypto: unsealed(sealing.crypto) };
  const { identity } = stageKeys(runtime.crypto, stage);
  const crew = Array.from({ length: count }, (_, index) => {
    return new BenchAgent(runtime, enrolAgent(runtime.crypto, identity, index), url);
  });
  crews.set(name, crew);
  // Not all at once: the load's own processor is the same.
  for (let at = 0; at < crew.length; at += CONNECTING)
    await Promise.all(crew.slice(at, at + CONNECTING).map((agent) => agent.connect()));
}

async function run({
  name,
  count,
  seconds,
  asksAhead,
}: Parameters<AgentQuestions['run']>[0]): Promise<LoadResult> {
  const crew = (crews.get(name) ?? []).slice(0, count);
  const latenciesMs: number[] = [];
  const startedMs = performance.now();
  const untilMs = startedMs + seconds * 1000;
  await Promise.all(
    crew.map((agent) => agent.run(untilMs, asksAhead, (latencyMs) => latenciesMs.push(latencyMs))),
  );
  return summary(latenciesMs, performance.now() - startedMs);
}

async function echo(order: Parameters<AgentQuestions['echo']>[0]): Promise<LoadResult> {
  const startedMs = performance.now();
  const latenciesMs = await runEcho(order.url, order.connections, order.seconds);
  return summary(latenciesMs, performance.now() - startedMs);
}

function summary(latenciesMs: readonly number[], elapsedMs: number): LoadResult {
  return {
    done: latenciesMs.length,
    perSecond: (latenciesMs.length * 1000) / elapsedMs,
    p50Ms: quantile(latenciesMs, 0.5),
    p95Ms: quantile(latenciesMs, 0.95),
  };
}
