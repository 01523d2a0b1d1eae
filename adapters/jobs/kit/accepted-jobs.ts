import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import type { Log } from '../../../protocol/runtime/runtime.ts';

/** Which jobs are with a broker and have not ended, in a file: after a restart the ceiling counts them before anybody speaks of them. */
export interface AcceptedJobs {
  /** As of now. */
  ids(): readonly string[];
  /** Never fails: what cannot be written is logged. The end of this process loses nothing, a power cut the last ones. */
  note(id: string, isAccepted: boolean): void;
  /** Resolves when all is written. */
  settled(): Promise<void>;
}

/** File of an adapter's own directory. */
export const ACCEPTED_FILE = 'accepted-jobs.txt';

const LINE = /^([+-])([a-z0-9]{1,64})$/u;
/** The file is written anew where it has more lines than this beside two for each job. */
const SPARE_LINES = 1_000;

export async function openAcceptedJobs(path: string, log: Log): Promise<AcceptedJobs> {
  const ids = new Set<string>();
  const put = (id: string, isAccepted: boolean): void => void (isAccepted ? ids.add(id) : ids.delete(id));
  const found = (await readFile(path, 'latin1').catch(noFile)).split('\n');
  for (const line of found) {
    const [, sign, id = ''] = LINE.exec(line) ?? [];
    if (sign !== undefined) put(id, sign === '+');
  }
  let lines = found.length;
  let fresh: string[] = [];
  let writing = Promise.resolve();

  async function write(): Promise<void> {
    const added = fresh;
    fresh = [];
    lines += added.length;
    // A line that was cut short ends before the first of these.
    if (lines <= 2 * ids.size + SPARE_LINES)
      return appendFile(path, `\n${added.join('\n')}\n`, { mode: 0o600 });
    const all = [...ids].map((id) => `+${id}\n`);
    lines = all.length;
    await writeFile(`${path}.part`, all.join(''), { mode: 0o600 });
    await rename(`${path}.part`, path);
  }

  return {
    ids: () => [...ids],
    note(id, isAccepted) {
      if (ids.has(id) === isAccepted) return;
      put(id, isAccepted);
      fresh.push(`${isAccepted ? '+' : '-'}${id}`);
      writing = writing
        .then(() => (fresh.length === 0 ? undefined : write()))
        .catch((caught: unknown) =>
          log.warn({ err: caught }, 'the jobs that are with us could not be noted'),
        );
    },
    settled: () => writing,
  };
}

function noFile(caught: unknown): string {
  if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT') return '';
  throw caught;
}
