import { readFile } from 'node:fs/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import { writeDurably } from '../../../protocol/runtime/durable-file.ts';
import { parseJson } from '../../../protocol/parse-json.ts';
import type { PandaJob } from './panda-job.ts';

/** A job that PanDA gave and that no broker has named yet. */
export interface TakenJob {
  /** The id in our words. */
  readonly id: string;
  readonly queue: string;
  readonly members: PandaJob['members'];
}

/**
 * Jobs between PanDA and the broker, in a file: PanDA counts them as ours from its answer on, and lists them to nobody. Everything else
 * about a job is at the broker.
 */
export interface TakenJobs {
  /** Those that were there when the program began. */
  readonly atStart: readonly TakenJob[];
  find(id: string): TakenJob | undefined;
  /** Resolves once they would survive the end of this process. */
  add(jobs: readonly TakenJob[]): Promise<void>;
  /** Those are a broker's, or over. */
  remove(ids: readonly string[]): Promise<void>;
}

const MAX_BYTES = 64 * 1024 * 1024;

/** Where no directory is given, nothing survives: for tests and trials. */
export async function openTakenJobs(path: string | undefined): Promise<TakenJobs> {
  const atStart = path === undefined ? [] : await readJobs(path);
  const jobs = new Map(atStart.map((job) => [job.id, job]));
  let writing: Promise<void> = Promise.resolve();
  let isDirty = false;

  /** One write at a time; what changes meanwhile goes with the next. */
  const write = (): Promise<void> => {
    if (path === undefined) return Promise.resolve();
    isDirty = true;
    writing = writing
      .catch(() => undefined)
      .then(async () => {
        if (!isDirty) return;
        isDirty = false;
        await writeDurably(path, JSON.stringify([...jobs.values()]));
      });
    return writing;
  };

  return {
    atStart,
    find: (id) => jobs.get(id),
    async add(more) {
      for (const job of more) jobs.set(job.id, job);
      if (more.length > 0) await write();
    },
    async remove(ids) {
      const gone = ids.filter((id) => jobs.delete(id));
      if (gone.length > 0) await write();
    },
  };
}

async function readJobs(path: string): Promise<readonly TakenJob[]> {
  const text = await readFile(path, 'utf8').catch((caught: unknown) => {
    if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT') return '[]';
    throw caught;
  });
  const value = text.length > MAX_BYTES ? undefined : parseJson(text);
  if (Array.isArray(value) && value.every(isTaken)) return value;
  throw new CoPilotError(
    'QUEUE_CORRUPT',
    `${path} is no list of jobs; move it away, and PanDA gives them up in time`,
  );
}

function isTaken(value: unknown): value is TakenJob {
  if (typeof value !== 'object' || value === null) return false;
  const { id, queue, members }: { [Key in keyof TakenJob]?: unknown } = value;
  return (
    typeof id === 'string' && typeof queue === 'string' && typeof members === 'object' && members !== null
  );
}
