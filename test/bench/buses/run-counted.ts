import type { AgentQuestions } from '../agents-peer.ts';
import type { BenchInstallation, Round } from '../installation.ts';
import type { Peer } from '../peer.ts';
import { processTree } from '../process-tree.ts';
import type { BenchServer } from './bench-server.ts';

/** Microseconds of the processor that each part spends on one job. */
export interface CpuPerJob {
  readonly server: number;
  readonly broker: number;
  readonly adapters: number;
  readonly agents: number;
}

export interface CountedParts {
  readonly ours: BenchInstallation;
  readonly agents: Peer<AgentQuestions>;
  readonly server: BenchServer;
}

/** Where the processor's time goes says what limits. */
export async function runCounted(
  { ours, agents, server }: CountedParts,
  count: number,
  seconds: number,
  slots = 1,
): Promise<{ readonly ours: Round; readonly cpu: CpuPerJob }> {
  const tree = processTree(server.pid);
  const used = async (): Promise<CpuPerJob> => ({
    server: await tree.cpuMicroseconds(),
    broker: await ours.broker.ask('cpu', null),
    adapters: await ours.adapters.ask('cpu', null),
    agents: await agents.ask('cpu', null),
  });
  const before = await used();
  const round = await ours.run(count, seconds, true, slots);
  const after = await used();
  const of = (part: keyof CpuPerJob): number => (after[part] - before[part]) / round.done;
  return {
    ours: round,
    cpu: { server: of('server'), broker: of('broker'), adapters: of('adapters'), agents: of('agents') },
  };
}
