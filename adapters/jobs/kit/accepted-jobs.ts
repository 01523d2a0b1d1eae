import type { Log } from '../../../protocol/runtime/runtime.ts';
import { createLineFile, readLines } from './line-file.ts';

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
const MAX_BYTES = 64 * 1024 * 1024;
const SPARE_LINES = 1_000;

export async function openAcceptedJobs(path: string, log: Log): Promise<AcceptedJobs> {
  const ids = new Set<string>();
  const put = (id: string, isAccepted: boolean): void => void (isAccepted ? ids.add(id) : ids.delete(id));
  for (const line of await readLines(path, MAX_BYTES)) {
    const [, sign, id = ''] = LINE.exec(line) ?? [];
    if (sign !== undefined) put(id, sign === '+');
  }
  const live = { count: () => ids.size, lines: () => [...ids].map((id) => `+${id}`) };
  const file = createLineFile({ path, live, spare: SPARE_LINES });

  return {
    ids: () => [...ids],
    note(id, isAccepted) {
      if (ids.has(id) === isAccepted) return;
      put(id, isAccepted);
      file
        .append(`${isAccepted ? '+' : '-'}${id}`)
        .catch((caught: unknown) =>
          log.warn({ err: caught }, 'the jobs that are with us could not be noted'),
        );
    },
    settled: () => file.settled(),
  };
}
