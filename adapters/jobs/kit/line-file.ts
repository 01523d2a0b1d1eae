import { type FileHandle, open, readFile } from 'node:fs/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import { writeDurably } from '../../../protocol/runtime/durable-file.ts';
import { unlessMissing } from '../../../protocol/runtime/unless-missing.ts';
import { sharedRun } from './shared-run.ts';

/** A file of lines that is appended to, and written anew when most of it says nothing any more. For its owner's eyes only. */
export interface LineFile {
  /**
   * Resolves once the line survives the end of this process, and a power cut where it is to be synced; lines of one turn, and those that
   * come during a write, are written and synced together. After a write that failed the next one writes all that still counts.
   */
  append(line: string, isSynced?: boolean): Promise<void>;
  /** Resolves when all was written, with the file closed; a further line opens it again. */
  settled(): Promise<void>;
}

export interface LineFileOptions {
  readonly path: string;
  /** Lines that still say something: what was appended is among them, or undone by it. */
  readonly live: { count(): number; lines(): Iterable<string> };
  /** Lines that the file may have beside two for each that says something. */
  readonly spare: number;
}

export function createLineFile({ path, live, spare }: LineFileOptions): LineFile {
  const waiting: { readonly text: string; readonly isSynced: boolean }[] = [];
  let handle: FileHandle | undefined;
  let lines = 0;
  /** At the start, and after a write that failed and may have left half a line. */
  let isStale = true;

  const close = async (): Promise<void> => {
    const opened = handle;
    handle = undefined;
    await opened?.close();
  };
  const rewrite = async (): Promise<void> => {
    isStale = true;
    await close();
    const all = Array.from(live.lines(), (line) => `${line}\n`);
    await writeDurably(path, all.join(''));
    lines = all.length;
    isStale = false;
  };
  const write = async (): Promise<void> => {
    const batch = waiting.splice(0);
    if (batch.length === 0) return undefined;
    if (isStale || lines + batch.length > 2 * live.count() + spare) return rewrite();
    isStale = true;
    handle ??= await open(path, 'a', 0o600);
    await handle.appendFile(batch.map(({ text }) => `${text}\n`).join(''));
    if (batch.some(({ isSynced }) => isSynced)) await handle.datasync();
    lines += batch.length;
    isStale = false;
  };
  const written = sharedRun(write);

  return {
    append(text, isSynced = false) {
      waiting.push({ text, isSynced });
      return written();
    },
    async settled() {
      await written().catch(() => undefined); // whoever appended has heard of it
      await close();
    },
  };
}

/**
 * Lines that are whole: what follows the last end of a line is what a crash cut short. None where there is no file. Rejects with
 * `QUEUE_CORRUPT` above `maxBytes`, `QUEUE_UNAVAILABLE` where it cannot be read.
 */
export async function readLines(path: string, maxBytes: number): Promise<readonly string[]> {
  const bytes = await readFile(path)
    .catch(unlessMissing)
    .catch((cause: unknown) => {
      throw new CoPilotError('QUEUE_UNAVAILABLE', `${path} cannot be read`, { cause });
    });
  if (bytes === undefined) return [];
  if (bytes.length > maxBytes) throw new CoPilotError('QUEUE_CORRUPT', `${path} is over ${maxBytes} bytes`);
  return bytes.toString('utf8').split('\n').slice(0, -1);
}
