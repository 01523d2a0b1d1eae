/** A job as the queue handed it out. */
export interface MatchedJob {
  readonly queue: string;
  readonly id: string;
  readonly token: string;
  readonly user: string;
  readonly ce: string;
  readonly jdl: string;
}

/** File of the adapter's own directory: the queue hands a job out once and has no list of what it handed out. */
export const JOURNAL_FILE = 'matched-jobs.jsonl';

/** Undefined for what is none. */
export function readMatchedJob(value: unknown): MatchedJob | undefined {
  return isMatched(value) ? value : undefined;
}

function isMatched(value: unknown): value is MatchedJob {
  if (typeof value !== 'object' || value === null) return false;
  const { queue, id, token, user, ce, jdl }: { [Key in keyof MatchedJob]?: unknown } = value;
  return [queue, id, token, user, ce, jdl].every((field) => typeof field === 'string');
}
