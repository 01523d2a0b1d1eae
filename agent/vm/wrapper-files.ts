import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What BOINC's vboxwrapper reads in the directory that it shares with the machine, by the names that `vbox_job.xml` must say. */
export const WRAPPER_FILES = {
  heartbeat: 'heartbeat',
  completion: 'shutdown',
  temporaryExit: 'temporary_exit',
  fractionDone: 'fraction_done',
} as const;

const MAX_MESSAGE = 200;
/** The wrapper reads no more. */
const FRACTION_BYTES = 32;

/** How an agent speaks to vboxwrapper. Each rejects where the directory cannot be written. */
export interface WrapperFiles {
  /** The agent lives: only the time of the file counts, which the host's clock says. */
  beat(): Promise<void>;
  /** How much of the task is done, 0 to 1. */
  tellFraction(fraction: number): Promise<void>;
  /** What was told last, also by an earlier start; 0 where nothing was. */
  lastFraction(): Promise<number>;
  /** The task is over: the wrapper removes the machine, and BOINC gets the code. */
  complete(code: number, message: string): Promise<void>;
  /** The wrapper turns the machine off, and starts it again after the delay. */
  leave(delaySeconds: number, message: string): Promise<void>;
}

export function createWrapperFiles(directory: string): WrapperFiles {
  const path = (file: keyof typeof WRAPPER_FILES): string => join(directory, WRAPPER_FILES[file]);
  /** The wrapper acts on a file as soon as it is there, so it is whole by then. */
  const trigger = async (
    file: keyof typeof WRAPPER_FILES,
    lines: readonly (number | string)[],
  ): Promise<void> => {
    const written = `${path(file)}.new`;
    await writeFile(written, lines.map((line) => `${line}\n`).join(''));
    await rename(written, path(file));
  };
  return {
    beat: () => writeFile(path('heartbeat'), '\n'),
    tellFraction: (fraction) => writeFile(path('fractionDone'), `${fraction.toFixed(6)}\n`),
    async lastFraction() {
      const bytes = await readFile(path('fractionDone')).catch(() => Buffer.alloc(0)); // nothing was told yet
      const [last = '0'] = bytes.subarray(-FRACTION_BYTES).toString('latin1').trim().split(/\s+/).slice(-1);
      return /^(?:0|1)(?:\.[0-9]*)?$/.test(last) ? Math.min(1, Number(last)) : 0;
    },
    complete: (code, message) => trigger('completion', [code, code === 0 ? 0 : 1, oneLine(message)]),
    leave: (delaySeconds, message) =>
      trigger('temporaryExit', [Math.round(delaySeconds), 0, oneLine(message)]),
  };
}

function oneLine(message: string): string {
  return message.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, MAX_MESSAGE);
}
