import { descendants, listProcesses } from '../../agent/executors/process-table.ts';
import { memoryOf } from './memory.ts';

/** What a server that is more than one process uses. */
export interface ProcessTree {
  /** Processor time since it started, in microseconds, of those that run now and of those that they waited for. */
  cpuMicroseconds(): Promise<number>;
  residentBytes(): Promise<number>;
}

/** A process and all that it started, its own and theirs. */
export function processTree(root: number): ProcessTree {
  const members = () => descendants(root, listProcesses());
  return {
    async cpuMicroseconds() {
      return members().reduce((sum, { cpuSeconds }) => sum + cpuSeconds * 1e6, 0);
    },
    async residentBytes() {
      const memories = await Promise.all(members().map(({ pid }) => memoryOf(pid)));
      return memories.reduce((sum, { now }) => sum + now, 0);
    },
  };
}
