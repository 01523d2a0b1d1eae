import { CoPilotError } from '../../../protocol/errors.ts';
import { parseJsonObject } from '../../../protocol/parse-json.ts';
import { createLineFile, readLines } from './line-file.ts';

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

const MAX_BYTES = 256 * 1024 * 1024;
const SPARE_LINES = 4096;

/** Rejects with `QUEUE_CORRUPT` where the file is none of ours, `QUEUE_UNAVAILABLE` where it cannot be read. */
export async function openJobJournal<J>({ path, read }: JobJournalOptions<J>): Promise<JobJournal<J>> {
  const entries = path === undefined ? new Map<string, JournalEntry<J>>() : await readEntries(path, read);
  const live = { count: () => entries.size, lines: () => [...entries].map(lineOf) };
  const file = path === undefined ? undefined : createLineFile({ path, live, spare: SPARE_LINES });

  const put = async (id: string, entry: JournalEntry<J>, isSynced: boolean): Promise<void> => {
    entries.set(id, entry);
    await file?.append(lineOf([id, entry]), isSynced);
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
      if (entries.delete(id)) await file?.append(JSON.stringify({ id }));
    },
    async close() {
      await file?.settled();
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
  const entries = new Map<string, JournalEntry<J>>();
  for (const line of await readLines(path, MAX_BYTES)) {
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

function corrupt(path: string): CoPilotError {
  return new CoPilotError(
    'QUEUE_CORRUPT',
    `${path} is no journal of jobs; move it away, and the framework takes its jobs back in time`,
  );
}
