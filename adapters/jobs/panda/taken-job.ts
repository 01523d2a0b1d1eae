import type { PandaJob } from './panda-job.ts';

/** A job that PanDA gave, as the journal keeps it. */
export interface TakenJob {
  readonly queue: string;
  readonly members: PandaJob['members'];
}

/** File of the adapter's own directory. */
export const JOURNAL_FILE = 'taken-jobs.jsonl';

/** Undefined for what is none. */
export function readTakenJob(value: unknown): TakenJob | undefined {
  return isTaken(value) ? value : undefined;
}

function isTaken(value: unknown): value is TakenJob {
  if (typeof value !== 'object' || value === null) return false;
  const { queue, members }: { [Key in keyof TakenJob]?: unknown } = value;
  return typeof queue === 'string' && typeof members === 'object' && members !== null;
}
