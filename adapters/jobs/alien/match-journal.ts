import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** A job as the queue handed it out. */
export interface MatchedJob {
  readonly queue: string;
  readonly id: string;
  readonly token: string;
  readonly user: string;
  readonly ce: string;
  readonly jdl: string;
}

export interface JournalEntry {
  /** Our id of the job. */
  readonly job: string;
  readonly matched: MatchedJob;
  /** A broker has it; nobody runs it yet. */
  readonly isAccepted: boolean;
}

/**
 * Jobs that the queue handed out and that do not run yet, on disk: the queue hands a job out once and has no list of what it handed out.
 * A file each, written before anything else is done with the job.
 */
export interface MatchJournal {
  entries(): Promise<readonly JournalEntry[]>;
  add(job: string, matched: MatchedJob): Promise<void>;
  accept(job: string): Promise<void>;
  /** It runs, or it ended; one that is not there is no harm. */
  remove(job: string): Promise<void>;
}

const NAME = /^([a-z2-7]{26})\.(matched|accepted)$/;

export async function openMatchJournal(directory: string): Promise<MatchJournal> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = (job: string, state: 'matched' | 'accepted'): string => join(directory, `${job}.${state}`);
  return {
    async entries() {
      const names = (await readdir(directory)).sort();
      const entries = await Promise.all(names.map((name) => entryOf(directory, name)));
      return entries.filter((entry) => entry !== undefined);
    },
    async add(job, matched) {
      const part = join(directory, `${job}.part`);
      const file = await open(part, 'w', 0o600);
      try {
        await file.writeFile(JSON.stringify(matched));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(part, path(job, 'matched'));
    },
    async accept(job) {
      await rename(path(job, 'matched'), path(job, 'accepted')).catch(unlessMissing);
    },
    async remove(job) {
      await Promise.all([
        rm(path(job, 'matched'), { force: true }),
        rm(path(job, 'accepted'), { force: true }),
      ]);
    },
  };
}

async function entryOf(directory: string, name: string): Promise<JournalEntry | undefined> {
  const [, job = '', state = ''] = NAME.exec(name) ?? [];
  if (job === '') return undefined;
  const matched = matchedIn(await readFile(join(directory, name), 'utf8'));
  return matched && { job, matched, isAccepted: state === 'accepted' };
}

function matchedIn(text: string): MatchedJob | undefined {
  try {
    const value = JSON.parse(text) as MatchedJob;
    const { queue, id, token, user, ce, jdl } = value;
    return [queue, id, token, user, ce, jdl].every((field) => typeof field === 'string') ? value : undefined;
  } catch {
    // A file that a full disk cut short: the queue takes the job back by itself.
    return undefined;
  }
}

function unlessMissing(caught: unknown): void {
  if (!(caught instanceof Error && 'code' in caught && caught.code === 'ENOENT')) throw caught;
}
