import { type FileHandle, open, readFile } from 'node:fs/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import { parseJsonObject } from '../../../protocol/parse-json.ts';
import { writeDurably } from '../../../protocol/runtime/durable-file.ts';
import { sharedRun } from './shared-run.ts';

/**
 * Jobs that a framework gave and that do not run yet, on disk: a framework that counts them as given lists them to nobody. Everything else
 * about a job is at the broker.
 */
export interface JobJournal<J> {
  /** Those that were there when the program began, by id. */
  readonly atStart: ReadonlyMap<string, JournalEntry<J>>;
  /** One that no broker has named yet. */
  find(id: string): J | undefined;
  /** Resolves once they survive a power cut; those of calls that come together are synced together. */
  take(jobs: ReadonlyMap<string, J>): Promise<void>;
  /** The broker has it. Resolves once that survives the end of this process. */
  waits(id: string, state: string): Promise<void>;
  /** It runs, or is over; one that is not there is no harm. Resolves as `waits`. */
  remove(id: string): Promise<void>;
  close(): Promise<void>;
}

/** `taken`: no broker has named it yet. `waits`: a broker has it and nobody runs it; what the adapter put in it. */
export type JournalEntry<J> = { readonly taken: J } | { readonly waits: string };

export interface JobJournalOptions<J> {
  /** Where it is left out, nothing survives: for trials. */
  readonly path?: string | undefined;
  /** Undefined for what is no job of this adapter's. */
  readonly read: (value: unknown) => J | undefined;
}

interface Line {
  readonly text: string;
  readonly isSynced: boolean;
}

const MAX_BYTES = 256 * 1024 * 1024;
/** Lines that say nothing any more before the file is written anew, beside as many as say something. */
const MAX_STALE = 4096;

/** Rejects with `QUEUE_CORRUPT` where the file is none of ours, `QUEUE_UNAVAILABLE` where it cannot be read. */
export async function openJobJournal<J>({ path, read }: JobJournalOptions<J>): Promise<JobJournal<J>> {
  const entries = path === undefined ? new Map<string, JournalEntry<J>>() : await readEntries(path, read);
  const file = path === undefined ? undefined : createLines(path, entries);

  const put = (id: string, entry: JournalEntry<J>, isSynced: boolean): Promise<void> => {
    entries.set(id, entry);
    return file?.append({ text: lineOf([id, entry]), isSynced }) ?? Promise.resolve();
  };
  return {
    atStart: new Map(entries),
    find(id) {
      const entry = entries.get(id);
      return entry !== undefined && 'taken' in entry ? entry.taken : undefined;
    },
    async take(jobs) {
      await Promise.all([...jobs].map(([id, taken]) => put(id, { taken }, true)));
    },
    waits: (id, state) => put(id, { waits: state }, false),
    async remove(id) {
      if (entries.delete(id)) await file?.append({ text: JSON.stringify({ id }), isSynced: false });
    },
    close: () => file?.close() ?? Promise.resolve(),
  };
}

interface Lines {
  append(line: Line): Promise<void>;
  close(): Promise<void>;
}

/** Appends lines, one write at a time: what comes meanwhile goes with the next. `live` is all that still says something. */
function createLines(path: string, live: ReadonlyMap<string, JournalEntry<unknown>>): Lines {
  const waiting: Line[] = [];
  let handle: FileHandle | undefined;
  let lines = 0;
  /** At the start, and after a write that failed and may have left half a line. */
  let isStale = true;

  const rewrite = async (): Promise<void> => {
    isStale = true;
    await handle?.close();
    handle = undefined;
    const all = [...live].map((entry) => `${lineOf(entry)}\n`);
    await writeDurably(path, all.join(''));
    handle = await open(path, 'a', 0o600);
    lines = all.length;
    isStale = false;
  };
  const write = async (batch: readonly Line[]): Promise<void> => {
    if (batch.length === 0) return undefined;
    // What is live holds what the batch says.
    if (handle === undefined || isStale || lines > MAX_STALE + 2 * live.size) return rewrite();
    isStale = true;
    await handle.appendFile(batch.map(({ text }) => `${text}\n`).join(''));
    if (batch.some(({ isSynced }) => isSynced)) await handle.datasync();
    lines += batch.length;
    isStale = false;
  };
  const writeWaiting = sharedRun(() => write(waiting.splice(0)));

  return {
    append(line) {
      waiting.push(line);
      return writeWaiting();
    },
    async close() {
      // What was asked for before has its turn before.
      await writeWaiting().catch(() => undefined);
      await handle?.close();
      handle = undefined;
    },
  };
}

function lineOf([id, entry]: readonly [string, JournalEntry<unknown>]): string {
  return JSON.stringify({ id, ...entry });
}

async function readEntries<J>(
  path: string,
  read: JobJournalOptions<J>['read'],
): Promise<Map<string, JournalEntry<J>>> {
  const lines = (await textOf(path)).split('\n');
  // A line is whole when its end is there: what follows the last end is what a crash cut short.
  lines.pop();
  const entries = new Map<string, JournalEntry<J>>();
  for (const line of lines) {
    const { id, taken, waits } = fieldsOf(line);
    const job = taken === undefined ? undefined : read(taken);
    if (typeof id !== 'string' || (taken !== undefined && job === undefined)) throw corrupt(path);
    if (job !== undefined) entries.set(id, { taken: job });
    else if (typeof waits === 'string') entries.set(id, { waits });
    else entries.delete(id);
  }
  return entries;
}

function fieldsOf(line: string): Readonly<Partial<Record<'id' | 'taken' | 'waits', unknown>>> {
  return parseJsonObject(line) ?? {};
}

async function textOf(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > MAX_BYTES) throw corrupt(path);
    return bytes.toString('utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return '';
    if (cause instanceof CoPilotError) throw cause;
    throw new CoPilotError('QUEUE_UNAVAILABLE', `${path} cannot be read`, { cause });
  }
}

function corrupt(path: string): CoPilotError {
  return new CoPilotError(
    'QUEUE_CORRUPT',
    `${path} is no journal of jobs; move it away, and the framework takes its jobs back in time`,
  );
}
