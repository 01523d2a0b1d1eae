import { readFile, stat } from 'node:fs/promises';
import { CoPilotError, toCoPilotError } from '../errors.ts';
import type { Cancel, Clock, Log } from './runtime.ts';

export interface WatchedFileOptions<T> {
  readonly path: string;
  /** What the text says; throws where it says nothing that can be used. */
  readonly parse: (text: string) => T;
  /** What counts while there is no file. */
  readonly missing: T;
  /** The file holds secrets: it is refused where others may read it. */
  readonly isSecret?: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange?: (value: T) => void;
}

/** What a file says now: it is looked at every half second, and read where it is another. */
export interface WatchedFile<T> {
  readonly value: T;
  stop(): void;
}

const LOOK_MS = 500;
const MAX_BYTES = 256 * 1024;
const OF_OTHERS = 0o077;

/**
 * Rejects with `INVALID_CONFIGURATION` where what is there at first cannot be used. Later what was read before goes on to count, and
 * the log says why.
 */
export async function watchFile<T>(options: WatchedFileOptions<T>): Promise<WatchedFile<T>> {
  const { path, clock, log } = options;
  let known = await read(options, undefined);
  let complained = '';
  let isStopped = false;
  let cancel: Cancel = () => undefined;

  async function look(): Promise<void> {
    try {
      const found = await read(options, known.version);
      complained = '';
      if (found.version === known.version || isStopped) return;
      known = found;
      options.onChange?.(found.value);
    } catch (caught) {
      const { message } = toCoPilotError(caught);
      if (message !== complained) log.error({ path, reason: message }, 'a file that changed cannot be used');
      complained = message;
    }
  }

  function lookLater(): void {
    if (isStopped) return;
    cancel = clock.schedule(LOOK_MS, () => void look().then(lookLater));
  }
  lookLater();

  return {
    get value() {
      return known.value;
    },
    stop() {
      isStopped = true;
      cancel();
    },
  };
}

interface Version<T> {
  readonly version: string;
  readonly value: T;
}

const NONE = 'none';

async function read<T>(options: WatchedFileOptions<T>, known: string | undefined): Promise<Version<T>> {
  const { path, parse, missing, isSecret = false } = options;
  try {
    const { mode, size, mtimeMs, ino } = await stat(path);
    const version = `${ino} ${size} ${mtimeMs}`;
    // The caller has the value of the version it knows.
    if (version === known) return { version, value: missing };
    if (isSecret && (mode & OF_OTHERS) !== 0)
      throw unusable(path, 'others may read it: run chmod 600 on it, and consider what it holds known');
    if (size > MAX_BYTES) throw unusable(path, `it is larger than ${MAX_BYTES} bytes`);
    return { version, value: parse(await readFile(path, 'utf8')) };
  } catch (caught) {
    if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT')
      return { version: NONE, value: missing };
    if (caught instanceof CoPilotError) throw caught;
    throw unusable(path, 'it cannot be read', { cause: caught });
  }
}

function unusable(path: string, why: string, options?: ErrorOptions): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', `${path}: ${why}`, options);
}
