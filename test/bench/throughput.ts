import type { AgentQuestions } from './agents-peer.ts';
import type { EchoQuestions } from './echo-peer.ts';
import type { FloorQuestions } from './floor-peer.ts';
import { type BenchInstallation, metered, type Round } from './installation.ts';
import type { Peer } from './peer.ts';
import { median } from './statistics.ts';

export interface ThroughputParts {
  readonly agents: Peer<AgentQuestions>;
  readonly echo: { readonly peer: Peer<EchoQuestions>; readonly url: string };
  readonly floor: Peer<FloorQuestions>;
  readonly ours: BenchInstallation;
}

export interface Throughput {
  readonly echo: readonly Round[];
  readonly floor: readonly Round[];
  readonly ours: readonly Round[];
  /** Ours over the floor's, by the medians. */
  readonly ofFloor: number;
  /** Broker's processor time for a cycle over the echo server's for a round trip, by the medians. */
  readonly cpuOverEcho: number;
}

export const AGENTS = 100;
const ECHO_SECONDS = 2;
const SECONDS = 5;
/** Until the compiler has seen everything often enough. */
const WARM_CYCLES = 15_000;
const WARM_SECONDS = 3;

/** Claim (a): echo, floor and ours in turn. */
export async function measureThroughput(parts: ThroughputParts, rounds: number): Promise<Throughput> {
  const { agents, echo, floor, ours } = parts;
  const runEcho = (seconds: number): Promise<Round> =>
    metered(echo.peer, () => agents.ask('echo', { url: echo.url, connections: AGENTS, seconds }));
  const runFloor = (seconds: number): Promise<Round> =>
    metered(floor, () => agents.ask('run', { name: 'floor', count: AGENTS, seconds }));
  const runOurs = (seconds: number): Promise<Round> => ours.run(AGENTS, seconds);
  await runEcho(ECHO_SECONDS);
  await warm(runFloor);
  await warm(runOurs);
  const done: { echo: Round[]; floor: Round[]; ours: Round[] } = { echo: [], floor: [], ours: [] };
  for (let round = 0; round < rounds; round += 1) {
    done.echo.push(await runEcho(ECHO_SECONDS));
    done.floor.push(await runFloor(SECONDS));
    done.ours.push(await runOurs(SECONDS));
  }
  const of = (of: readonly Round[], value: (round: Round) => number): number => median(of.map(value));
  return {
    ...done,
    ofFloor: of(done.ours, rate) / of(done.floor, rate),
    cpuOverEcho: of(done.ours, cpu) / of(done.echo, cpu),
  };
}

export async function warm(run: (seconds: number) => Promise<Round>): Promise<void> {
  for (let cycles = 0; cycles < WARM_CYCLES; ) cycles += (await run(WARM_SECONDS)).done;
}

function rate(round: Round): number {
  return round.perSecond;
}

function cpu(round: Round): number {
  return round.cpuMicroseconds;
}
