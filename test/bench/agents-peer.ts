/** Simulated agents, and the clients of the bare echo, in one process: the load. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { silentLog } from '../doubles/silent-log.ts';
import { type BaselineStep, measureBaselineStep } from './baseline-step.ts';
import { createAgentBus } from '../../protocol/bindings/agent-bus.ts';
import { BenchAgent } from './bench-agent.ts';
import { counted } from './counted-bus.ts';
import { runEcho } from './echo-client.ts';
import { type LoadResult, loadResult } from './load-result.ts';
import { cpuMicroseconds, servePeer } from './serve-peer.ts';
import { enrolAgent, type Stage, stageKeys } from './stage.ts';
import { type Arrivals, closedLoop, openLoop } from './open-loop.ts';
import { unsealed } from './unsealed.ts';

export interface AgentQuestions {
  /** Makes agents that will connect under a name; tells their ids. Needed where a bus must know them before they come. */
  enrol(as: {
    readonly name: string;
    readonly stage: Stage;
    readonly count: number;
  }): Promise<readonly string[]>;
  /** Connects `count` agents to an end point under a name. */
  connect(to: {
    readonly name: string;
    readonly url: string;
    readonly stage: Stage;
    readonly count: number;
    /** Whether frames are sealed; they are where it is left out. */
    readonly seals?: boolean;
  }): Promise<void>;
  /** Lets the first `count` of them work for so long; the last jobs are finished, so that nothing is left under way. */
  run(order: {
    readonly name: string;
    readonly count: number;
    readonly seconds: number;
    /** Whether a report asks for the next job. */
    readonly asksAhead: boolean;
    /** Slots of each; one where it is left out. */
    readonly slots?: number;
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
  /** Disconnects the agents of a name. */
  leave(order: { readonly name: string }): Promise<void>;
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
  /** Frames that all of its agents have sent and got. */
  frames(nothing: null): number;
  cpu(nothing: null): number;
}

const sealing = createNodeRuntime(silentLog);
/** Agents that shake hands at the same time. */
const CONNECTING = 200;
const ENROLLED_AT_ONCE = 50;
type Enrolled = ReturnType<typeof enrolAgent>;

const enrolments = new Map<string, readonly Enrolled[]>();
const frames = { count: 0 };
const crews = new Map<string, readonly BenchAgent[]>();

const step: AgentQuestions['step'] = ({ url, directory, seconds }) =>
  measureBaselineStep(url, directory, seconds);

const park: AgentQuestions['park'] = ({ name }) => {
  for (const agent of crews.get(name) ?? []) agent.park();
};
const leave: AgentQuestions['leave'] = async ({ name }) => {
  await Promise.all((crews.get(name) ?? []).map((agent) => agent.stop()));
  crews.delete(name);
};
const arrivals: AgentQuestions['arrivals'] = ({ name, perSecond, seconds }) =>
  openLoop(crews.get(name) ?? [], perSecond, seconds);

const most: AgentQuestions['most'] = ({ name, atOnce, seconds }) =>
  closedLoop(crews.get(name) ?? [], atOnce, seconds);

servePeer<AgentQuestions>(
  {
    enrol,
    connect,
    run,
    echo,
    step,
    leave,
    park,
    arrivals,
    most,
    frames: () => frames.count,
    cpu: cpuMicroseconds,
  },
  async () => {
    await Promise.all([...crews.values()].flat().map((agent) => agent.stop()));
  },
);

async function connect(to: Parameters<AgentQuestions['connect']>[0]): Promise<void> {
  const { name, url, stage, count, seals = true } = to;
  const runtime = seals ? sealing : { ...sealing, crypto: unsealed(sealing.crypto) };
  const crew: BenchAgent[] = [];
  for (const enrolled of enrolments.get(name) ?? (await enrolAll(stage, count))) {
    crew.push(new BenchAgent(runtime, enrolled, counted(await busOf(url, enrolled), frames)));
  }
  crews.set(name, crew);
  // Not all at once: the load's own processor is the same.
  for (let at = 0; at < crew.length; at += CONNECTING)
    await Promise.all(crew.slice(at, at + CONNECTING).map((agent) => agent.connect()));
}

async function enrol({
  name,
  stage,
  count,
}: Parameters<AgentQuestions['enrol']>[0]): Promise<readonly string[]> {
  const all = await enrolAll(stage, count);
  enrolments.set(name, all);
  return all.map(({ agent }) => agent);
}

/** With a pause now and then: those that are connected already must not fall silent over it. */
async function enrolAll(stage: Stage, count: number): Promise<readonly Enrolled[]> {
  const { identity } = stageKeys(sealing.crypto, stage);
  const all: Enrolled[] = [];
  for (let index = 0; index < count; index += 1) {
    all.push(enrolAgent(sealing.crypto, identity, index));
    if (index % ENROLLED_AT_ONCE === 0) await nextTurn();
  }
  return all;
}

function busOf(url: string, { agent, identity }: Enrolled): Promise<Bus> {
  const { clock, random, log } = sealing;
  // An identity of the bench outlives it.
  const renewIdentity = async (): Promise<void> => undefined;
  return createAgentBus({ url, agent, identity: () => identity, renewIdentity, clock, random, log });
}

async function run({
  name,
  count,
  seconds,
  asksAhead,
  slots = 1,
}: Parameters<AgentQuestions['run']>[0]): Promise<LoadResult> {
  const crew = (crews.get(name) ?? []).slice(0, count);
  const latenciesMs: number[] = [];
  const startedMs = performance.now();
  const untilMs = startedMs + seconds * 1000;
  const note = (latencyMs: number): void => void latenciesMs.push(latencyMs);
  await Promise.all(
    crew.flatMap((agent) =>
      Array.from({ length: slots }, (_, at) => agent.run(untilMs, asksAhead, note, at + 1)),
    ),
  );
  return loadResult(latenciesMs, performance.now() - startedMs);
}

async function echo(order: Parameters<AgentQuestions['echo']>[0]): Promise<LoadResult> {
  const startedMs = performance.now();
  const latenciesMs = await runEcho(order.url, order.connections, order.seconds);
  return loadResult(latenciesMs, performance.now() - startedMs);
}
