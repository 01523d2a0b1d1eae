import { randomInt } from 'node:crypto';
import { CoPilotError } from '../../protocol/errors.ts';
import { listProcesses, realUid } from './process-table.ts';

/** Uids that belong to nobody else on this machine, for jobs that root starts: `count` of them from `first`. */
export interface UidRange {
  readonly first: number;
  readonly count: number;
}

const defaultUidRange: UidRange = { first: 200_000, count: 10_000 };

/** Lends each running job a uid of its own. */
export interface UidPool {
  /** A uid nobody uses now; throws `LAUNCH_REFUSED` where all are in use. */
  take(): number;
  giveBack(uid: number): void;
}

/** Starts at a random place, so that two agents on one machine rarely meet; a uid that has processes is passed over. */
export function createUidPool(range: UidRange = defaultUidRange): UidPool {
  const lent = new Set<number>();
  let next = randomInt(range.count);
  return {
    take() {
      const busy = new Set(listProcesses().map((entry) => realUid(entry.pid)));
      for (let tried = 0; tried < range.count; tried++) {
        const uid = range.first + next;
        next = (next + 1) % range.count;
        if (lent.has(uid) || busy.has(uid)) continue;
        lent.add(uid);
        return uid;
      }
      throw new CoPilotError('LAUNCH_REFUSED', `all ${range.count} uids from ${range.first} are in use`);
    },
    giveBack(uid) {
      lent.delete(uid);
    },
  };
}
