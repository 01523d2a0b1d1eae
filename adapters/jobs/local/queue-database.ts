import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { CoPilotError } from '../../../protocol/errors.ts';
import { queueFault } from './queue-fault.ts';
import { QUEUE_APPLICATION_ID, QUEUE_MIGRATIONS, QUEUE_SQL, type QueueStatement } from './queue-schema.ts';
import { numberColumn } from './row-reader.ts';

export interface QueueDatabase {
  readonly database: DatabaseSync;
  readonly statements: Readonly<Record<QueueStatement, StatementSync>>;
  /** Rises with every opening of the file: what an earlier one handed over is due again. */
  readonly opening: number;
}

/**
 * Opens or creates the file, for this process alone; throws one of the `QUEUE_…` codes. The file grows to at most `maxPages`
 * pages of 4 KiB.
 */
export function openQueueDatabase(path: string, maxPages?: number): QueueDatabase {
  try {
    return open(path, maxPages);
  } catch (caught) {
    throw queueFault(caught, path);
  }
}

function open(path: string, maxPages: number | undefined): QueueDatabase {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    prepareFile(database, path);
    if (maxPages !== undefined) database.exec(`PRAGMA max_page_count = ${maxPages}`);
    const opening = countOpening(database);
    return { database, statements: prepareAll(database), opening };
  } catch (caught) {
    database.close();
    throw caught;
  }
}

function prepareFile(database: DatabaseSync, path: string): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec('PRAGMA wal_autocheckpoint = 1000; PRAGMA cache_size = -16384');
  database.exec('BEGIN IMMEDIATE');
  const application = pragma(database, 'application_id');
  const version = pragma(database, 'user_version');
  if (application === 0 && version === 0) requireEmpty(database, path);
  else if (application !== QUEUE_APPLICATION_ID) throw notAQueue(path);
  else if (version > QUEUE_MIGRATIONS.length) {
    throw new CoPilotError(
      'QUEUE_CORRUPT',
      `the local queue ${path} has version ${version}; this program reads up to version ${QUEUE_MIGRATIONS.length}`,
    );
  }
  migrate(database, version);
  database.exec('COMMIT');
}

function requireEmpty(database: DatabaseSync, path: string): void {
  const tables = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get();
  if (tables === undefined || numberColumn(tables, 'count') > 0) throw notAQueue(path);
}

/** Within the transaction that looked: a queue is of one version, whatever ends this program. */
function migrate(database: DatabaseSync, version: number): void {
  if (version === QUEUE_MIGRATIONS.length) return;
  for (const step of QUEUE_MIGRATIONS.slice(version)) database.exec(step);
  database.exec(
    `PRAGMA application_id = ${QUEUE_APPLICATION_ID}; PRAGMA user_version = ${QUEUE_MIGRATIONS.length}`,
  );
}

function countOpening(database: DatabaseSync): number {
  const opening = Number(database.prepare('INSERT INTO opening DEFAULT VALUES').run().lastInsertRowid);
  database.prepare('DELETE FROM opening WHERE number < ?').run(opening);
  return opening;
}

function prepareAll(database: DatabaseSync): Readonly<Record<QueueStatement, StatementSync>> {
  const prepare = (name: QueueStatement): StatementSync => database.prepare(QUEUE_SQL[name]);
  return {
    insertJob: prepare('insertJob'),
    insertDescription: prepare('insertDescription'),
    insertSubmission: prepare('insertSubmission'),
    submission: prepare('submission'),
    submitted: prepare('submitted'),
    updateJob: prepare('updateJob'),
    hand: prepare('hand'),
    retried: prepare('retried'),
    jobById: prepare('jobById'),
    description: prepare('description'),
    result: prepare('result'),
    insertResult: prepare('insertResult'),
    failures: prepare('failures'),
    putFailure: prepare('putFailure'),
    dropOldFailures: prepare('dropOldFailures'),
    overdue: prepare('overdue'),
    ownerAfter: prepare('ownerAfter'),
    topPriority: prepare('topPriority'),
    campaignAfter: prepare('campaignAfter'),
    oldestPending: prepare('oldestPending'),
    cancelling: prepare('cancelling'),
    tally: prepare('tally'),
    waitingQueues: prepare('waitingQueues'),
    dropJob: prepare('dropJob'),
    dropDescription: prepare('dropDescription'),
    dropResult: prepare('dropResult'),
    dropFailures: prepare('dropFailures'),
    submissionPage: prepare('submissionPage'),
    dropSubmission: prepare('dropSubmission'),
    dropTally: prepare('dropTally'),
    untally: prepare('untally'),
    states: prepare('states'),
    names: prepare('names'),
    firstOfCampaign: prepare('firstOfCampaign'),
    firstPending: prepare('firstPending'),
    oldestWaiting: prepare('oldestWaiting'),
    pause: prepare('pause'),
    resume: prepare('resume'),
    hold: prepare('hold'),
    nextPaused: prepare('nextPaused'),
    paused: prepare('paused'),
    page: prepare('page'),
    pageOfState: prepare('pageOfState'),
    pageOfCampaign: prepare('pageOfCampaign'),
    pageOfCampaignAndState: prepare('pageOfCampaignAndState'),
  };
}

function pragma(database: DatabaseSync, name: string): number {
  const row = database.prepare(`PRAGMA ${name}`).get();
  return row === undefined ? 0 : numberColumn(row, name);
}

function notAQueue(path: string): CoPilotError {
  return new CoPilotError('QUEUE_CORRUPT', `${path} is a database of something else; name another file`);
}
