import { readdir, readFile } from 'node:fs/promises';
import { memoryOf } from './memory.ts';

/** What a server that is more than one process uses. */
export interface ProcessTree {
  /** Processor time since it started, in microseconds, of those that run now. */
  cpuMicroseconds(): Promise<number>;
  residentBytes(): Promise<number>;
}

interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
}

/** The kernel counts in hundredths of a second, whatever its clock. */
const TICK_MICROSECONDS = 10_000;

/** A process and all that it started, its own and theirs. */
export function processTree(root: number): ProcessTree {
  return {
    async cpuMicroseconds() {
      const tree = await membersOf(root);
      return tree.reduce((sum, { ticks }) => sum + ticks * TICK_MICROSECONDS, 0);
    },
    async residentBytes() {
      const memories = await Promise.all((await membersOf(root)).map(({ pid }) => memoryOf(pid)));
      return memories.reduce((sum, { now }) => sum + now, 0);
    },
  };
}

async function membersOf(root: number): Promise<readonly ProcessStat[]> {
  const names = await readdir('/proc');
  const stats = await Promise.all(names.filter((name) => /^\d+$/.test(name)).map(statOf));
  const all = stats.filter((stat) => stat !== undefined);
  const members = all.filter(({ pid }) => pid === root);
  // Grows while it is walked.
  for (const { pid } of members) members.push(...all.filter(({ parent }) => parent === pid));
  return members;
}

/** Undefined where it has ended. */
async function statOf(name: string): Promise<ProcessStat | undefined> {
  const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => undefined);
  // The program's own name comes first, in brackets, and may contain anything.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields === undefined) return undefined;
  return { pid: Number(name), parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
}
