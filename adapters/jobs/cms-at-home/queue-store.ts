import { randomInt } from 'node:crypto';
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { CoPilotError } from '../../../protocol/errors.ts';
import { openOwnDatabase } from '../kit/own-database.ts';

/** Who has a job: a volunteer by his number, or the broker. */
export type Holder = string;

export const BROKER: Holder = 'broker';

/** A job in one of its rounds: put in again after its end it is another job. */
export interface HeldJob {
  readonly id: string;
  readonly round: number;
}

/** The queue of CMS@home: jobs in, jobs out, with a lease under each job that was given away. */
export interface QueueStore {
  /** Puts a job in; one that is there stays as it is, one that was begins a new round. False where the queue is full. */
  put(id: string, nowMs: number): boolean;
  /** Gives a job that waits to `holder`, the oldest first; undefined where none does, or where he has `most` already. */
  take(holder: Holder, untilMs: number, most: number): string | undefined;
  /** Gives up to `most` waiting jobs to the broker, and lists those it has. */
  takeForBroker(most: number): void;
  heldByBroker(): readonly HeldJob[];
  /** Whether `holder` has the job now. */
  isHeld(id: string, holder: Holder, nowMs: number): boolean;
  /** The job is done, and goes to whoever collects; false where `holder` does not have it. */
  finish(id: string, holder: Holder, nowMs: number, attempt?: number): boolean;
  /** The attempt whose result the round has; 0 where it has none of the broker’s. */
  attemptOf(job: HeldJob): number;
  /** Nobody gets it any more. */
  drop(id: string): void;
  /** A job that is done, given to whoever collects; given again after `untilMs` unless it was collected. */
  takeDone(nowMs: number, untilMs: number): string | undefined;
  collected(id: string): void;
  /** Puts back what was given away for too long. */
  expire(nowMs: number): number;
  counts(): { readonly waiting: number; readonly held: number; readonly done: number };
  close(): void;
}

const APPLICATION_ID = 0x43_4d_53_48;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS job (
    id TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    state TEXT NOT NULL,
    holder TEXT NOT NULL DEFAULT '',
    until_ms INTEGER NOT NULL DEFAULT 0,
    round INTEGER NOT NULL DEFAULT 1,
    attempt INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX IF NOT EXISTS job_by_state ON job (state, place);`;

/** Every change is on disk before it is answered. Throws `QUEUE_IN_USE`, `QUEUE_CORRUPT` or `QUEUE_UNAVAILABLE`. */
export function openQueueStore(path: string, maxJobs: number): QueueStore {
  const database = openOwnDatabase(path, (opened) => prepare(opened, path));
  const one = (sql: string, ...values: SQLInputValue[]): Row | undefined =>
    database.prepare(sql).get(...values);
  const all = (sql: string, ...values: SQLInputValue[]): readonly Row[] =>
    database.prepare(sql).all(...values);
  const run = (sql: string, ...values: SQLInputValue[]): number =>
    Number(database.prepare(sql).run(...values).changes);
  const heldBy = (holder: Holder): number =>
    Number(
      one(`SELECT count(*) AS count FROM job WHERE state = 'held' AND holder = ?`, holder)?.['count'] ?? 0,
    );
  const count = (state: string): number =>
    Number(one('SELECT count(*) AS count FROM job WHERE state = ?', state)?.['count'] ?? 0);

  return {
    put(id, nowMs) {
      if (count('waiting') + count('held') >= maxJobs) return false;
      // Jobs of one moment in no order, as files of one directory were.
      run(
        `INSERT INTO job (id, place, state) VALUES (?, ?, 'waiting') ON CONFLICT (id) DO UPDATE
           SET state = 'waiting', place = excluded.place, round = round + 1, attempt = 0, until_ms = 0 WHERE state = 'gone'`,
        id,
        nowMs * 1000 + randomInt(1000),
      );
      return true;
    },
    take: (holder, untilMs, most) =>
      heldBy(holder) >= most
        ? undefined
        : idOf(
            one(
              `UPDATE job SET state = 'held', holder = ?, until_ms = ?
             WHERE id = (SELECT id FROM job WHERE state = 'waiting' ORDER BY place LIMIT 1) RETURNING id`,
              holder,
              untilMs,
            ),
          ),
    takeForBroker(most) {
      run(
        `UPDATE job SET state = 'held', holder = ?, until_ms = 0
           WHERE id IN (SELECT id FROM job WHERE state = 'waiting' ORDER BY place LIMIT ?)`,
        BROKER,
        most,
      );
    },
    heldByBroker: () =>
      all(`SELECT id, round FROM job WHERE state = 'held' AND holder = ? ORDER BY place`, BROKER).flatMap(
        (row) => {
          const id = idOf(row);
          return id === undefined ? [] : [{ id, round: Number(row['round']) }];
        },
      ),
    isHeld: (id, holder, nowMs) =>
      one(
        `SELECT id FROM job WHERE id = ? AND state = 'held' AND holder = ? AND (until_ms = 0 OR until_ms > ?)`,
        id,
        holder,
        nowMs,
      ) !== undefined,
    finish: (id, holder, nowMs, attempt = 0) =>
      run(
        `UPDATE job SET state = 'done', holder = '', until_ms = 0, place = ?, attempt = ?
           WHERE id = ? AND state = 'held' AND holder = ?`,
        nowMs * 1000,
        attempt,
        id,
        holder,
      ) === 1,
    attemptOf: ({ id, round }) =>
      Number(one('SELECT attempt FROM job WHERE id = ? AND round = ?', id, round)?.['attempt'] ?? 0),
    drop(id) {
      run(`UPDATE job SET state = 'gone', holder = '' WHERE id = ?`, id);
    },
    takeDone: (nowMs, untilMs) =>
      idOf(
        one(
          `UPDATE job SET until_ms = ? WHERE id =
             (SELECT id FROM job WHERE state = 'done' AND until_ms <= ? ORDER BY place LIMIT 1) RETURNING id`,
          untilMs,
          nowMs,
        ),
      ),
    collected(id) {
      run(`UPDATE job SET state = 'gone' WHERE id = ? AND state = 'done'`, id);
    },
    expire: (nowMs) =>
      run(
        `UPDATE job SET state = 'waiting', holder = '', until_ms = 0 WHERE state = 'held' AND until_ms > 0 AND until_ms <= ?`,
        nowMs,
      ),
    counts: () => ({ waiting: count('waiting'), held: count('held'), done: count('done') }),
    close: () => database.close(),
  };
}

type Row = Readonly<Record<string, SQLOutputValue>>;

function idOf(row: Row | undefined): string | undefined {
  const id = row?.['id'];
  return typeof id === 'string' ? id : undefined;
}

function prepare(database: DatabaseSync, path: string): void {
  database.exec('PRAGMA synchronous = FULL');
  const { application_id: application } = database.prepare('PRAGMA application_id').get() ?? {};
  if (application !== APPLICATION_ID && application !== 0)
    throw new CoPilotError('QUEUE_CORRUPT', `${path} is no queue of CMS@home`);
  database.exec(`${SCHEMA} PRAGMA application_id = ${APPLICATION_ID};`);
}
