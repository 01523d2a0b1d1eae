import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

/** A number of seconds to sleep for that no other process on the machine sleeps for: names the processes of one test. */
export const uniqueSleep = (): string => `300.${randomInt(1e9, 1e10)}`;

/** Processes whose command line holds `text`. */
export function processesNaming(text: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => commandLine(pid).includes(text));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}
