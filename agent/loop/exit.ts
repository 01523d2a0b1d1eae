import type { Exit, Usage } from '../../protocol/generated/types.ts';
import type { Ending as ProcessEnding } from '../executors/launcher.ts';

const MAX_REASON = 256;
const MAX_WALL_SECONDS = 31_536_000;
const MAX_CPU_SECONDS = 3_153_600_000;
const MAX_MEMORY_MIB = 67_108_864;
const MAX_DISK_MIB = 1_073_741_824;

export const NO_USAGE: Usage = { wallSeconds: 0, cpuSeconds: 0, memoryMiB: 0, diskMiB: 0 };

/** The job could not be run, or its files not be moved. Control characters would not survive as evidence. */
export function failed(reason: string): Exit {
  return { kind: 'failed', reason: reason.replace(/\p{Cc}+/gu, ' ').slice(0, MAX_REASON) };
}

/** What became of the process in the words of the protocol. */
export function exitOf(ending: ProcessEnding): Exit {
  switch (ending.kind) {
    case 'exited':
      return { kind: 'exited', code: ending.code };
    case 'signalled':
      return { kind: 'signalled', signal: ending.signal };
    case 'limit':
      return { kind: 'limit', limit: ending.limit };
    case 'not-started':
      return failed(`the job did not start: ${ending.reason}`);
  }
}

/** Within the bounds of the protocol, and short: a thousandth is as exact as anything was measured. */
export function boundedUsage(usage: Usage): Usage {
  return {
    wallSeconds: bounded(usage.wallSeconds, MAX_WALL_SECONDS),
    cpuSeconds: bounded(usage.cpuSeconds, MAX_CPU_SECONDS),
    memoryMiB: bounded(usage.memoryMiB, MAX_MEMORY_MIB),
    diskMiB: bounded(usage.diskMiB, MAX_DISK_MIB),
  };
}

function bounded(value: number, max: number): number {
  if (Number.isNaN(value)) return 0;
  return Math.round(Math.min(max, Math.max(0, value)) * 1000) / 1000;
}
