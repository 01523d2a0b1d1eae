import type { BridgeTransfers } from './bridge.ts';
import type { Round } from './installation.ts';
import type { BusRound, MeasuredBus } from './buses/measure.ts';
import type { Crowd } from './crowd.ts';
import type { IdleAgents } from './buses/idle.ts';
import type { MeasuredSlots } from './buses/slots.ts';
import type { MeasuredFramework } from './frameworks/measure.ts';
import type { Latency } from './latency.ts';
import { CONTENDERS, type Peers } from './peers/measure.ts';
import type { PriceStep } from './price.ts';
import type { Queued } from './queued.ts';
import { median } from './statistics.ts';
import { table } from './table.ts';
import type { Throughput } from './throughput.ts';
import type { WriteVolume } from './write-volume.ts';

/** Everything one run of the benchmark found. */
export interface Results {
  readonly machine: { readonly processor: string; readonly processors: number; readonly node: string };
  readonly volume?: WriteVolume;
  readonly throughput?: Throughput;
  readonly latency?: Latency;
  readonly queued?: Queued;
  readonly crowds?: readonly Crowd[] | undefined;
  readonly price?: readonly PriceStep[];
  readonly peers?: readonly Peers[];
  readonly buses?: readonly MeasuredBus[];
  readonly slots?: readonly MeasuredSlots[];
  readonly idle?: readonly IdleAgents[];
  readonly bridge?: BridgeTransfers;
  readonly frameworks?: readonly MeasuredFramework[];
}

/** What the project promises, and whether it is so here. */
export interface Claim {
  readonly text: string;
  readonly value: number;
  readonly bound: string;
  readonly holds: boolean;
}

const LEAST_OF_FLOOR = 0.5;
const MOST_OVER_ECHO = 45;
const MOST_OVER_STEP = 6;
const MOST_APART = 0.15;
/** By the number of agents. */
const MOST_P99_MS: Readonly<Record<number, number>> = { 200: 100, 10_000: 250 };
/** Over BullMQ, which neither fences nor seals nor audits, by jobs under way. */
const LEAST_OF_BULLMQ: Readonly<Record<number, number>> = { 1: 0.5, 100: 0.2 };
const LEAST_OF_RAW = 0.15;
const LEAST_OF_WEBSOCKET = 0.4;
const MOST_OVER_RAW = 6;
/** What the job manager of the Co-Pilot before this one reached on it, in jobs per second, and how many times that is promised. */
const ORIGINAL = { server: 'prosody', perSecond: 27, least: 30 };
const LEAST_OF_BARE = 0.7;
const LEAST_OF_MINIMAL = 0.7;
const MEBIBYTE = 1024 ** 2;
/** Less than a tenth of the file, whatever the collector leaves lying about. */
const MOST_GROWN_MIB = 96;

export function claimsOf(results: Results): readonly Claim[] {
  const { throughput, latency, queued, bridge, crowds, peers, buses, frameworks } = results;
  return [
    ...(throughput === undefined ? [] : throughputClaims(throughput)),
    ...(latency === undefined
      ? []
      : [atMost('report to committed, over one echo and one synced commit', latency.ratio, MOST_OVER_STEP)]),
    ...(queued === undefined ? [] : queuedClaims(queued)),
    ...(crowds ?? []).map(crowdClaim),
    ...(peers ?? []).flatMap(peerClaims),
    ...(buses ?? []).flatMap(busClaims),
    ...(bridge === undefined ? [] : bridgeClaims(bridge)),
    ...(frameworks ?? []).map(({ kind, ofMinimal }) =>
      atLeast(`jobs per second through ${kind}, over a minimal client's`, ofMinimal, LEAST_OF_MINIMAL),
    ),
  ];
}

function throughputClaims({ ofFloor, cpuOverEcho }: Throughput): readonly Claim[] {
  const floor = atLeast('full cycles per second, over those of the floor', ofFloor, LEAST_OF_FLOOR);
  return [floor, atMost('broker processor time of a job, over a raw echo', cpuOverEcho, MOST_OVER_ECHO)];
}

function queuedClaims({ sizes, scans }: Queued): readonly Claim[] {
  const apart = Math.max(...sizes.map(({ overSmallest }) => Math.abs(overSmallest - 1)));
  return [
    atMost('processor time of a job, apart over the sizes of the queue', apart, MOST_APART),
    atMost('statements of the hot path that read a whole table', scans.length, 0),
  ];
}

function crowdClaim({ agents, p99Ms }: Crowd): Claim {
  const most = MOST_P99_MS[agents] ?? 0;
  return atMost(
    `ms from request to job for 99 of 100, with ${agents.toLocaleString('en')} agents`,
    p99Ms,
    most,
  );
}

function peerClaims({ inFlight, over }: Peers): readonly Claim[] {
  const under = `${inFlight} under way`;
  return [
    atLeast(`jobs per second over Celery's, ${under}`, over.celery, 1),
    atLeast(`jobs per second over BullMQ's, ${under}`, over.bullmq, LEAST_OF_BULLMQ[inFlight] ?? 0),
  ];
}

function busClaims({ name, rounds, ofRaw, ofWebSocket, p50OverRaw }: MeasuredBus): readonly Claim[] {
  const overOriginal = median(rounds.map(({ ours }) => ours.perSecond)) / ORIGINAL.perSecond;
  return [
    atLeast(`cycles on ${name}, over raw requests of as many messages`, ofRaw, LEAST_OF_RAW),
    atLeast(`cycles on ${name}, over those on our own WebSocket`, ofWebSocket, LEAST_OF_WEBSOCKET),
    atMost(`report to committed on ${name}, over a raw round trip`, p50OverRaw, MOST_OVER_RAW),
    ...(name.startsWith(ORIGINAL.server)
      ? [atLeast(`cycles on ${name}, over the original Co-Pilot's`, overOriginal, ORIGINAL.least)]
      : []),
  ];
}

function bridgeClaims({ uploadRatio, downloadRatio, grownBytes }: BridgeTransfers): readonly Claim[] {
  return [
    atLeast(
      'upload of 1 GiB, over a bare server that hashes, writes and syncs it',
      uploadRatio,
      LEAST_OF_BARE,
    ),
    atLeast('download of 1 GiB, over the bare server', downloadRatio, LEAST_OF_BARE),
    atMost('memory of the bridge above that at its start, in MiB', grownBytes / MEBIBYTE, MOST_GROWN_MIB),
  ];
}

function atLeast(text: string, value: number, least: number): Claim {
  return { text, value, bound: `at least ${least}`, holds: value >= least };
}

function atMost(text: string, value: number, most: number): Claim {
  return { text, value, bound: `at most ${most}`, holds: value <= most };
}

export function tablesOf(results: Results): string {
  const {
    machine,
    volume,
    throughput,
    latency,
    queued,
    bridge,
    crowds,
    price,
    peers,
    buses,
    slots,
    idle,
    frameworks,
  } = results;
  const parts = [`${machine.processors} x ${machine.processor}, node ${machine.node}`];
  if (throughput !== undefined && volume !== undefined) parts.push(throughputTable(throughput, volume));
  if (latency !== undefined) parts.push(latencyTable(latency));
  if (queued !== undefined) parts.push(queuedTable(queued));
  if (crowds !== undefined) parts.push(crowdTable(crowds));
  if (price !== undefined) parts.push(priceTable(price));
  if (peers !== undefined) parts.push(...peers.map(peersTable));
  if (buses !== undefined) parts.push(busesTable(buses));
  if (slots !== undefined) parts.push(slotsTable(slots));
  if (idle !== undefined) parts.push(idleTable(idle));
  if (bridge !== undefined) parts.push(bridgeTable(bridge));
  if (frameworks !== undefined) parts.push(frameworkTable(frameworks), holdTable(frameworks));
  return parts.join('\n\n');
}

function throughputTable({ echo, floor, bareFloor, ours }: Throughput, volume: WriteVolume): string {
  const row = (name: string, rounds: readonly Round[]): readonly string[] => [
    name,
    median(rounds.map(({ perSecond }) => perSecond)).toFixed(0),
    median(rounds.map(({ p50Ms }) => p50Ms)).toFixed(2),
    median(rounds.map(({ p95Ms }) => p95Ms)).toFixed(2),
    median(rounds.map(({ cpuMicroseconds }) => cpuMicroseconds)).toFixed(1),
  ];
  return table([
    ['100 agents, medians', 'per s', 'p50 ms', 'p95 ms', 'server CPU us'],
    row('raw echo', echo),
    row(`floor (${volume.rows} rows, ${(volume.bytes + volume.auditBytes).toFixed(0)} bytes)`, floor),
    row('the same, grants not checked', bareFloor),
    row('full durable cycle', ours),
  ]);
}

function latencyTable({ rounds }: Latency): string {
  const columns = [
    'bare commit',
    'echo',
    'commit',
    'echo, then commit',
    'with the next job',
    'committed',
    'ratio',
  ];
  return table([
    ['one agent, p50 ms', ...columns],
    ...rounds.map((round, index) => [
      `round ${index + 1}`,
      round.bareCommitMs.toFixed(3),
      round.echoMs.toFixed(3),
      round.commitMs.toFixed(3),
      round.bothMs.toFixed(3),
      round.withNextMs.toFixed(3),
      round.committedMs.toFixed(3),
      round.ratio.toFixed(2),
    ]),
  ]);
}

function busesTable(buses: readonly MeasuredBus[]): string {
  const middle = ({ rounds }: MeasuredBus, of: (round: BusRound) => number, digits = 0): string =>
    median(rounds.map(of)).toFixed(digits);
  return [
    table([
      ['100 agents, medians', 'per s', 'on WebSocket', 'raw requests per s', 'messages a job'],
      ...buses.map((bus) => [
        bus.name,
        middle(bus, ({ ours }) => ours.perSecond),
        middle(bus, ({ webSocket }) => webSocket.perSecond),
        middle(bus, ({ raw }) => raw.perSecond),
        bus.messagesPerJob.toFixed(2),
      ]),
    ]),
    table([
      ['CPU us a job, 100 agents', 'server', 'broker', 'the same on WebSocket', 'adapters', 'agents'],
      ...buses.map((bus) => [
        bus.name,
        middle(bus, ({ cpu }) => cpu.server),
        middle(bus, ({ cpu }) => cpu.broker),
        middle(bus, ({ webSocket }) => webSocket.cpuMicroseconds),
        middle(bus, ({ cpu }) => cpu.adapters),
        middle(bus, ({ cpu }) => cpu.agents),
      ]),
    ]),
    table([
      ['one agent, p50 ms', 'report to committed', 'on WebSocket', 'raw round trip'],
      ...buses.map((bus) => [
        bus.name,
        middle(bus, ({ alone }) => alone.p50Ms, 2),
        middle(bus, ({ webSocketAlone }) => webSocketAlone.p50Ms, 2),
        middle(bus, ({ rawAlone }) => rawAlone.p50Ms, 2),
      ]),
    ]),
  ].join('\n\n');
}

function frameworkTable(frameworks: readonly MeasuredFramework[]): string {
  return table([
    [
      'framework',
      'jobs per s',
      'minimal client',
      'ratio',
      'calls for 1,000 jobs',
      'and to the Data Bridge',
      'us of processor a job',
    ],
    ...frameworks.map(({ kind, rounds, ofMinimal, callsPerThousandJobs, cpuMicrosecondsPerJob }) => [
      kind,
      median(rounds.map(({ adapter }) => adapter)).toFixed(0),
      median(rounds.map(({ minimal }) => minimal)).toFixed(0),
      ofMinimal.toFixed(2),
      callsPerThousandJobs.framework.toFixed(0),
      callsPerThousandJobs.bridge.toFixed(0),
      cpuMicrosecondsPerJob.toFixed(0),
    ]),
  ]);
}

/** One adapter with all of these jobs running. */
function holdTable(frameworks: readonly MeasuredFramework[]): string {
  return table([
    ['running jobs', 'jobs', '% of a processor', 'MiB', 'calls per s', 'silence p50 s', 'p99 s', 'most s'],
    ...frameworks.map(({ kind, hold: { jobs, processor, residentBytes, callsPerSecond, silence } }) => [
      kind,
      jobs.toLocaleString('en'),
      (processor * 100).toFixed(1),
      (residentBytes / MEBIBYTE).toFixed(0),
      callsPerSecond.toFixed(1),
      silence.p50.toFixed(1),
      silence.p99.toFixed(1),
      silence.most.toFixed(1),
    ]),
  ]);
}

function slotsTable(slots: readonly MeasuredSlots[]): string {
  return table([
    [
      'agents x slots, medians',
      'per s',
      'p50 ms',
      'p95 ms',
      'server us',
      'broker us',
      'adapters us',
      'agents us',
    ],
    ...slots.flatMap(({ name, crews }) =>
      crews.map(({ agents, slots: each, perSecond, p50Ms, p95Ms, cpu }) => [
        `${name}, ${agents} x ${each}`,
        perSecond.toFixed(0),
        p50Ms.toFixed(1),
        p95Ms.toFixed(1),
        ...[cpu.server, cpu.broker, cpu.adapters, cpu.agents].map((microseconds) => microseconds.toFixed(0)),
      ]),
    ),
  ]);
}

function idleTable(idle: readonly IdleAgents[]): string {
  const mebibytes = (bytes: number): string => (bytes / MEBIBYTE).toFixed(0);
  // Of one size alone nothing grew.
  const kibibytes = (bytes: number): string => (Number.isNaN(bytes) ? '-' : (bytes / 1024).toFixed(1));
  return table([
    [
      'idle agents',
      'agents',
      'came in s',
      'server %',
      'broker %',
      'server MiB',
      'broker MiB',
      'server KiB an agent',
      'broker KiB an agent',
    ],
    ...idle.flatMap(({ name, sizes, serverBytesPerAgent, brokerBytesPerAgent }) =>
      sizes.map(({ agents, seconds, serverPercent, brokerPercent, serverBytes, brokerBytes }) => [
        name,
        agents.toLocaleString('en'),
        seconds.toFixed(1),
        serverPercent.toFixed(1),
        brokerPercent.toFixed(1),
        mebibytes(serverBytes),
        mebibytes(brokerBytes),
        kibibytes(serverBytesPerAgent),
        kibibytes(brokerBytesPerAgent),
      ]),
    ),
  ]);
}

function queuedTable({ sizes }: Queued): string {
  return table([
    ['queued jobs', 'per s', 'broker CPU us', 'over the smallest'],
    ...sizes.map(({ jobs, rounds, cpuMicroseconds, overSmallest }) => [
      jobs.toLocaleString('en'),
      median(rounds.map(({ perSecond }) => perSecond)).toFixed(0),
      cpuMicroseconds.toFixed(0),
      overSmallest.toFixed(3),
    ]),
  ]);
}

function crowdTable(crowds: readonly Crowd[]): string {
  return table([
    ['agents, jobs at half the most', 'most per s', 'asked per s', 'p50 ms', 'p99 ms', 'KiB an idle agent'],
    ...crowds.map(({ agents, mostPerSecond, rounds, p99Ms, bytesPerIdleAgent }) => [
      agents.toLocaleString('en'),
      mostPerSecond.toFixed(0),
      median(rounds.map(({ perSecond }) => perSecond)).toFixed(0),
      median(rounds.map(({ p50Ms }) => p50Ms)).toFixed(2),
      p99Ms.toFixed(2),
      (bytesPerIdleAgent / 1024).toFixed(1),
    ]),
  ]);
}

function priceTable(price: readonly PriceStep[]): string {
  return table([
    ['each guarantee on top of the one before', 'per s', 'server CPU us', 'more us'],
    ...price.map(({ name, perSecond, cpuMicroseconds }, index) => [
      name,
      perSecond.toFixed(0),
      cpuMicroseconds.toFixed(1),
      (cpuMicroseconds - (price[index - 1]?.cpuMicroseconds ?? cpuMicroseconds)).toFixed(1),
    ]),
  ]);
}

function peersTable({ inFlight, rounds, over }: Peers): string {
  return table([
    [`${inFlight} under way, medians`, 'per s', 'p50 ms', 'p95 ms', 'ours over it'],
    ...CONTENDERS.map((contender) => [
      contender,
      median(rounds[contender].map(({ perSecond }) => perSecond)).toFixed(0),
      median(rounds[contender].map(({ p50Ms }) => p50Ms)).toFixed(2),
      median(rounds[contender].map(({ p95Ms }) => p95Ms)).toFixed(2),
      over[contender].toFixed(2),
    ]),
  ]);
}

function bridgeTable({ bytes, rounds }: BridgeTransfers): string {
  const speed = (of: (round: BridgeTransfers['rounds'][number]) => number): string =>
    (bytes / MEBIBYTE / median(rounds.map(of))).toFixed(0);
  return table([
    ['1 GiB, SHA-256, MD5 and Adler-32, medians', 'up MiB/s', 'down MiB/s'],
    ['bare server', speed((round) => round.bareUploadSeconds), speed((round) => round.bareDownloadSeconds)],
    ['Data Bridge', speed((round) => round.uploadSeconds), speed((round) => round.downloadSeconds)],
  ]);
}
