import { readFile } from 'node:fs/promises';

/** Resident memory of a process in bytes. */
export interface Memory {
  readonly now: number;
  /** The most since it started. */
  readonly largest: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
  return { now: field('VmRSS'), largest: field('VmHWM') };
}
