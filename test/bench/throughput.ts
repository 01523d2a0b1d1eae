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
  /** Without the check of each grant. */
  readonly bareFloor: Peer<FloorQuestions>;
  readonly ours: BenchInstallation;
}

export interface Throughput {
  readonly echo: readonly Round[];
  readonly floor: readonly Round[];
  readonly bareFloor: readonly Round[];
  readonly ours: readonly Round[];
  /** Ours over the floor's, by the medians. */
  readonly ofFloor: number;
  readonly ofBareFloor: number;
  /** Broker's processor time for a cycle over the echo server's for a round trip, by the medians. */
  readonly cpuOverEcho: number;
}

export const AGENTS = 100;
const ECHO_SECONDS = 2;
const SECONDS = 5;
/** Until the compiler has seen everything often enough. */
const WARM_CYCLES = 15_000;
const WARM_SECONDS = 3;

/** Claim (a): echo, both floors and ours in turn. */
export async function measureThroughput(parts: ThroughputParts, rounds: number): Promise<Throughput> {
  const { agents, echo, floor, bareFloor, ours } = parts;
  const runEcho = (seconds: number): Promise<Round> =>
    metered(echo.peer, () => agents.ask('echo', { url: echo.url, connections: AGENTS, seconds }));
  const runAt = (server: Peer<FloorQuestions>, name: string, seconds: number): Promise<Round> =>
    metered(server, () => agents.ask('run', { name, count: AGENTS, seconds, asksAhead: true }));
  const runFloor = (seconds: number): Promise<Round> => runAt(floor, 'floor', seconds);
  const runBareFloor = (seconds: number): Promise<Round> => runAt(bareFloor, 'bare floor', seconds);
  const runOurs = (seconds: number): Promise<Round> => ours.run(AGENTS, seconds);
  await runEcho(ECHO_SECONDS);
  await warm(runFloor);
  await warm(runBareFloor);
  await warm(runOurs);
  const done = { echo: noRounds(), floor: noRounds(), bareFloor: noRounds(), ours: noRounds() };
  for (let round = 0; round < rounds; round += 1) {
    done.echo.push(await runEcho(ECHO_SECONDS));
    done.floor.push(await runFloor(SECONDS));
    done.bareFloor.push(await runBareFloor(SECONDS));
    done.ours.push(await runOurs(SECONDS));
  }
  const of = (of: readonly Round[], value: (round: Round) => number): number => median(of.map(value));
  return {
    ...done,
    ofFloor: of(done.ours, rate) / of(done.floor, rate),
    ofBareFloor: of(done.ours, rate) / of(done.bareFloor, rate),
    cpuOverEcho: of(done.ours, cpu) / of(done.echo, cpu),
  };
}

export async function warm(
  run: (seconds: number) => Promise<Round>,
  least: number = WARM_CYCLES,
): Promise<void> {
  for (let cycles = 0; cycles < least; ) cycles += (await run(WARM_SECONDS)).done;
}

function noRounds(): Round[] {
  return [];
}

function rate(round: Round): number {
  return round.perSecond;
}

function cpu(round: Round): number {
  return round.cpuMicroseconds;
}
