import { DatabaseSync } from 'node:sqlite';
import { isFinal } from '../core/audit.ts';
import { untold } from '../core/retell.ts';
import type { JobRow } from '../core/state.ts';
import { ledgerError } from './sqlite-errors.ts';
import { identify } from './sqlite-schema.ts';
import { liveDeadline, matches } from './stored-job.ts';

/** What was done to a ledger that was put back. */
export interface ReconciledLedger {
  /** Ended jobs that their framework is told of again. */
  readonly retold: number;
  /** Open jobs, whose next attempt gets a number that none had before. */
  readonly renumbered: number;
}

/**
 * Numbers left out when an older ledger is put back: agents may still hold attempts that it never heard of, and a number must
 * never stand for two of them (I1).
 */
const NUMBERS_LEFT_OUT = 100;
const MAX_NUMBER = 1_000_000;

/**
 * Makes a ledger that was put back fit what lies beside it: ends that the framework does not know (`knowsEnd` says so by job)
 * are told again, and no attempt number is used twice. One transaction; run it on a ledger that nobody has opened since.
 */
export function reconcileLedger(path: string, knowsEnd: (job: string) => boolean): ReconciledLedger {
  const database = new DatabaseSync(path);
  try {
    identify(database);
    database.exec('PRAGMA synchronous = FULL; BEGIN IMMEDIATE');
    const counts = rewrite(database, knowsEnd);
    recount(database);
    database.exec('COMMIT');
    return counts;
  } catch (caught) {
    throw ledgerError(caught, path);
  } finally {
    database.close();
  }
}

function rewrite(database: DatabaseSync, knowsEnd: (job: string) => boolean): ReconciledLedger {
  const update = database.prepare('UPDATE job SET state = ?, deadline = ?, duty = ?, row = ? WHERE seq = ?');
  const next = database.prepare('SELECT seq, row FROM job WHERE seq > ? ORDER BY seq LIMIT 1');
  let retold = 0;
  let renumbered = 0;
  for (let found = next.get(0); found !== undefined; found = next.get(found['seq'] ?? null)) {
    const job = JSON.parse(String(found['row'])) as JobRow; // a row of ours, checked before it is put back
    const again = isEnded(job) && !knowsEnd(job.id) ? untold(job) : undefined;
    const changed = again ?? (isEnded(job) ? undefined : renumber(job));
    if (changed === undefined) continue;
    if (again === undefined) renumbered += 1;
    else retold += 1;
    const duty = matches(changed, 'duties') ? 1 : 0;
    update.run(changed.state, liveDeadline(changed), duty, JSON.stringify(changed), found['seq'] ?? null);
  }
  return { retold, renumbered };
}

function isEnded(job: JobRow): boolean {
  return isFinal(job.state) || job.state === 'committed';
}

function renumber(job: JobRow): JobRow {
  return { ...job, lastAttempt: Math.min(MAX_NUMBER - 1, job.lastAttempt + NUMBERS_LEFT_OUT) };
}

/** The counts beside the rows say how many jobs are in each state. */
function recount(database: DatabaseSync): void {
  const meta = database.prepare("SELECT value FROM meta WHERE name = 'ledger'").get();
  if (meta === undefined) return;
  const rows = database.prepare('SELECT state, count(*) AS jobs FROM job GROUP BY state').all();
  const counts = Object.fromEntries(rows.map(({ state, jobs }) => [String(state), Number(jobs)]));
  const value = { ...(JSON.parse(String(meta['value'])) as object), counts };
  database.prepare("UPDATE meta SET value = ? WHERE name = 'ledger'").run(JSON.stringify(value));
}
