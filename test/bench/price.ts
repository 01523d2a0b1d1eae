import { BROKER_FLAGS } from '../../broker/node-flags.ts';
import type { AgentQuestions } from './agents-peer.ts';
import { ALL_DUTIES, type FloorDuties } from './floor-duties.ts';
import type { FloorQuestions } from './floor-peer.ts';
import { metered, type Round, startInstallation } from './installation.ts';
import { type Peer, startPeer } from './peer.ts';
import { median } from './statistics.ts';
import type { Stage } from './stage.ts';
import { AGENTS } from './throughput.ts';
import { measureWriteVolume } from './write-volume.ts';

/** One guarantee more than the step before it. */
export interface PriceStep {
  readonly name: string;
  readonly rounds: readonly Round[];
  /** Medians: cycles per second, and the server's processor time for one. */
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
}

const NONE: FloorDuties = {
  seals: false,
  signs: false,
  checksGrants: false,
  writes: false,
  syncs: false,
  audits: false,
};
const SEALED: FloorDuties = { ...NONE, seals: true };
const SIGNED: FloorDuties = { ...SEALED, signs: true };
const WRITTEN: FloorDuties = { ...SIGNED, writes: true };
const SYNCED: FloorDuties = { ...WRITTEN, syncs: true };
const STEPS: readonly { readonly name: string; readonly duties: FloorDuties }[] = [
  { name: 'frames, JSON, validation', duties: NONE },
  { name: '+ seal', duties: SEALED },
  { name: '+ signed reports and grants', duties: SIGNED },
  { name: '+ rows in a group commit', duties: WRITTEN },
  { name: '+ fsync', duties: SYNCED },
  { name: '+ audit records', duties: { ...SYNCED, audits: true } },
  { name: '+ grants checked', duties: ALL_DUTIES },
];
const LAST_STEP = '+ fence: leases, matching, six-step commit, adapters';
const SECONDS = 4;
const WARM_SECONDS = 4;
const PREFETCH = 512;

interface Step {
  readonly name: string;
  readonly run: (seconds: number) => Promise<Round>;
  readonly rounds: Round[];
  stop(): Promise<void>;
}

/** What each guarantee costs, switched on one by one at an end point that decides nothing; the last step is the broker as it is run. */
export async function measurePrice(
  directory: string,
  stage: Stage,
  rounds: number,
): Promise<readonly PriceStep[]> {
  const agents = startPeer<AgentQuestions>('agents-peer.ts');
  const steps: Step[] = [];
  try {
    const volume = measureWriteVolume();
    for (const { name, duties } of STEPS) {
      const peer = startPeer<FloorQuestions>('floor-peer.ts', BROKER_FLAGS);
      const { url } = await peer.ask('start', { directory, stage, volume, duties });
      await agents.ask('connect', { name, url, stage, count: AGENTS, seals: duties.seals });
      steps.push(floorStep(name, peer, agents));
    }
    const ours = await startInstallation({
      name: LAST_STEP,
      stage,
      agents,
      crew: AGENTS,
      directory,
      prefetch: PREFETCH,
    });
    steps.push({
      name: LAST_STEP,
      run: (seconds) => ours.run(AGENTS, seconds),
      rounds: [],
      stop: () => ours.stop(),
    });
    for (const { run } of steps) await run(WARM_SECONDS);
    for (let round = 0; round < rounds; round += 1)
      for (const step of steps) step.rounds.push(await step.run(SECONDS));
    return steps.map(({ name, rounds: done }) => ({
      name,
      rounds: done,
      perSecond: median(done.map(({ perSecond }) => perSecond)),
      cpuMicroseconds: median(done.map(({ cpuMicroseconds }) => cpuMicroseconds)),
    }));
  } finally {
    await agents.stop();
    for (const step of steps) await step.stop();
  }
}

function floorStep(name: string, peer: Peer<FloorQuestions>, agents: Peer<AgentQuestions>): Step {
  return {
    name,
    run: (seconds) =>
      metered(peer, () => agents.ask('run', { name, count: AGENTS, seconds, asksAhead: true })),
    rounds: [],
    stop: () => peer.stop(),
  };
}
