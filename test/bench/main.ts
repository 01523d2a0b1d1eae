/**
 * `npm run bench`: what the broker costs, each claim as a ratio of medians of runs that took turns on the same machine. Prints tables
 * and writes `.run/bench.json`. With names (`throughput`, `latency`, `queued`, `bridge`, `crowd`, `price`, `peers`, `buses`, `slots`, `idle`, `frameworks`) only those are measured; `slots` only where it is named.
 * `buses`, `slots` and `idle` take names of bus servers besides, `idle` numbers of agents, `frameworks` names of kinds. `peers`, `buses`, `slots` and `idle` need servers of Debian packages; where one is missing it says which.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { BROKER_FLAGS } from '../../broker/node-flags.ts';
import type { AgentQuestions } from './agents-peer.ts';
import { measureBridge } from './bridge.ts';
import { measureIdle } from './buses/idle.ts';
import { measureSlots } from './buses/slots.ts';
import { measureBuses } from './buses/measure.ts';
import { BENCH_SERVERS } from './buses/servers.ts';
import { kindsOf, measureFrameworks } from './frameworks/measure.ts';
import type { EchoQuestions } from './echo-peer.ts';
import { ALL_DUTIES, type FloorDuties } from './floor-duties.ts';
import type { FloorQuestions } from './floor-peer.ts';
import { startInstallation, withDirectory } from './installation.ts';
import { measureLatency } from './latency.ts';
import { startPeer } from './peer.ts';
import { measurePeers } from './peers/measure.ts';
import { measureQueued } from './queued.ts';
import { measureCrowd } from './crowd.ts';
import { measurePrice } from './price.ts';
import { type Claim, claimsOf, type Results, tablesOf } from './report.ts';
import { createStage, type Stage } from './stage.ts';
import { AGENTS, measureThroughput } from './throughput.ts';
import { measureWriteVolume } from './write-volume.ts';

const ROUNDS = 5;
const PREFETCH = 512;
const QUEUED = [1_000, 100_000, 1_000_000];
const CROWDS = [200, 10_000];
const FEWER_ROUNDS = 3;
/** Longer than the heartbeats of frameworks that want one a minute. */
const FRAMEWORK_SIZES = { jobs: 1_000, rounds: ROUNDS, held: 5_000, holdSeconds: 65 };

async function main(asked: readonly string[]): Promise<number> {
  const wants = (part: string): boolean => asked.length === 0 || asked.includes(part);
  const started = Date.now();
  const results: Results = {
    machine: { processor: cpus()[0]?.model ?? '', processors: cpus().length, node: process.version },
    ...(wants('throughput') || wants('latency') ? await withDirectory((at) => measureLoad(at, wants)) : {}),
    ...(wants('queued') ? { queued: await withDirectory(measureSizes) } : {}),
    ...(wants('crowd') ? { crowds: await withDirectory(measureCrowds) } : {}),
    ...(wants('price')
      ? { price: await withDirectory((at) => measurePrice(at, createStage(), FEWER_ROUNDS)) }
      : {}),
    ...(wants('peers')
      ? { peers: await withDirectory((at) => measurePeers(at, createStage(), ROUNDS)) }
      : {}),
    ...(wants('buses')
      ? { buses: await withDirectory((at) => measureBuses(at, createStage(), FEWER_ROUNDS, busesOf(asked))) }
      : {}),
    // Only where it is asked for: all else together takes as long as a bench may.
    ...(asked.length > 0 && wants('slots')
      ? {
          slots: await withDirectory((at) => measureSlots(at, createStage(), FEWER_ROUNDS, serversOf(asked))),
        }
      : {}),
    ...(wants('idle')
      ? {
          idle: await withDirectory((at) => measureIdle(at, createStage(), serversOf(asked), sizesOf(asked))),
        }
      : {}),
    ...(wants('frameworks')
      ? { frameworks: await withDirectory((at) => measureFrameworks(at, kindsOf(asked), FRAMEWORK_SIZES)) }
      : {}),
    ...(wants('bridge') ? { bridge: await withDirectory((at) => measureBridge(at, ROUNDS)) } : {}),
  };
  const claims = claimsOf(results);
  console.log(`${tablesOf(results)}\n\n${claims.map(lineOf).join('\n')}`);
  const seconds = Math.round((Date.now() - started) / 1000);
  await mkdir('.run', { recursive: true });
  await writeFile(
    join('.run', 'bench.json'),
    `${JSON.stringify({ ...results, claims, seconds }, null, 2)}\n`,
  );
  console.log(`took ${seconds} s; every figure is in .run/bench.json`);
  return claims.every(({ holds }) => holds) ? 0 : 1;
}

/** How many idle agents there are in all, one size after the other at the same server. */
const IDLE = [200, 1_000];

function sizesOf(asked: readonly string[]): readonly number[] {
  const named = asked.filter((size) => /^[1-9]\d{0,5}$/.test(size)).map(Number);
  return named.length > 0 ? named.toSorted((one, other) => one - other) : IDLE;
}

/** All where none is named. */
function busesOf(asked: readonly string[]): readonly string[] {
  const named = asked.filter((name) => name in BENCH_SERVERS);
  return named.length > 0 ? named : Object.keys(BENCH_SERVERS);
}

/** As `busesOf`, without those that only adapters reach otherwise. */
function serversOf(asked: readonly string[]): readonly string[] {
  return busesOf(asked).filter((name) => asked.includes(name) || !name.endsWith('-beside'));
}

async function measureLoad(
  directory: string,
  wants: (part: string) => boolean,
): Promise<Pick<Results, 'volume' | 'throughput' | 'latency'>> {
  const stage = createStage();
  const volume = measureWriteVolume();
  const agents = startPeer<AgentQuestions>('agents-peer.ts');
  const echo = startPeer<EchoQuestions>('echo-peer.ts');
  const floor = startPeer<FloorQuestions>('floor-peer.ts', BROKER_FLAGS);
  const bareFloor = startPeer<FloorQuestions>('floor-peer.ts', BROKER_FLAGS);
  const { url } = await echo.ask('start', null);
  const floors: readonly { name: string; peer: typeof floor; duties: FloorDuties }[] = [
    { name: 'floor', peer: floor, duties: ALL_DUTIES },
    { name: 'bare floor', peer: bareFloor, duties: { ...ALL_DUTIES, checksGrants: false } },
  ];
  for (const { name, peer, duties } of floors) {
    const started = await peer.ask('start', { directory, stage, volume, duties });
    await agents.ask('connect', { name, url: started.url, stage, count: AGENTS });
  }
  const ours = await startInstallation({
    name: 'ours',
    stage,
    agents,
    crew: AGENTS,
    directory,
    prefetch: PREFETCH,
  });
  const parts = { agents, echo: { peer: echo, url }, floor, bareFloor, ours };
  try {
    return {
      volume,
      ...(wants('throughput') && { throughput: await measureThroughput(parts, ROUNDS) }),
      ...(wants('latency') && { latency: await measureLatency(parts, directory, ROUNDS) }),
    };
  } finally {
    await agents.stop();
    await Promise.all([ours.stop(), floor.stop(), bareFloor.stop(), echo.stop()]);
  }
}

async function measureSizes(directory: string): Promise<Awaited<ReturnType<typeof measureQueued>>> {
  const stage: Stage = createStage();
  const agents = startPeer<AgentQuestions>('agents-peer.ts');
  try {
    return await measureQueued({ stage, agents, directory }, QUEUED, ROUNDS);
  } finally {
    await agents.stop();
  }
}

async function measureCrowds(directory: string): Promise<Results['crowds']> {
  const crowds: Awaited<ReturnType<typeof measureCrowd>>[] = [];
  for (const agents of CROWDS)
    crowds.push(await measureCrowd(directory, createStage(), agents, FEWER_ROUNDS));
  return crowds;
}

function lineOf({ holds, text, value, bound }: Claim): string {
  return `${holds ? 'holds ' : 'BROKEN'}  ${text}: ${value.toFixed(2)} (${bound})`;
}

process.exitCode = await main(process.argv.slice(2));
