import type { DatabaseSync } from 'node:sqlite';
import { LedgerFault } from './sqlite-errors.ts';

/** Marks the file as a ledger of ours ("CoPi"). */
const APPLICATION_ID = 0x436f5069;

/**
 * Each entry brings a ledger from the version of its index to the next; released ones never change. A row's JSON is the truth, the columns
 * beside it repeat what indexes serve. `seq` is the order of acceptance: jobs are mostly leased in it, so that neighbours share pages.
 * Descriptions never change, so they are not written again with every change of their job. Tombstones keep the ids of jobs that went,
 * accounts what those used.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE job (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    deadline INTEGER,
    duty INTEGER NOT NULL,
    row TEXT NOT NULL
  ) STRICT;
  CREATE INDEX job_queued ON job (seq) WHERE state = 'queued';
  CREATE INDEX job_live ON job (seq) WHERE deadline IS NOT NULL;
  CREATE INDEX job_due ON job (deadline) WHERE deadline IS NOT NULL;
  CREATE INDEX job_duty ON job (seq) WHERE duty = 1;
  CREATE TABLE description (seq INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
  CREATE TABLE agent (id TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;
  CREATE TABLE owner (id TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;
  CREATE TABLE audit (
    first INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    lines TEXT NOT NULL
  ) STRICT;
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  `,
  `
  ALTER TABLE agent ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
  UPDATE agent SET seen = coalesce((SELECT json_extract(value, '$.clockMs') FROM meta WHERE name = 'ledger'), 0);
  CREATE TABLE tombstone (id TEXT PRIMARY KEY, at INTEGER NOT NULL, attempt INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  UPDATE agent SET row = json_set(row, '$.place', json(iif(row ->> '$.status' = 'revoked', 'false', 'true')));
  CREATE TEMP TABLE places AS
    SELECT row ->> '$.owner' AS owner, count(*) AS agents FROM agent WHERE row ->> '$.status' <> 'revoked' GROUP BY 1;
  CREATE INDEX temp.places_of ON places (owner);
  UPDATE owner SET row = json_set(row, '$.agents', coalesce((SELECT agents FROM places WHERE owner = id), 0));
  DROP TABLE places;
  `,
  `
  UPDATE job SET row = substr(row, 1, length(row) - 1) || ',"events":0}';
  `,
  `
  CREATE TABLE account (
    key TEXT PRIMARY KEY,
    jobs INTEGER NOT NULL,
    events INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    cpu REAL NOT NULL,
    wall REAL NOT NULL,
    lost_cpu REAL NOT NULL,
    lost_wall REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
];

/** Reads only. Throws `LEDGER_CORRUPT` where the file is no ledger, `UNSUPPORTED` where a newer version wrote it. */
export function identify(database: DatabaseSync): void {
  const tables = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.tables;
  const application = pragma(database, 'application_id');
  if (application !== APPLICATION_ID && (application !== 0 || tables !== 0))
    throw new LedgerFault('LEDGER_CORRUPT', 'it is a database of some other program');
  const version = pragma(database, 'user_version');
  if (version > MIGRATIONS.length)
    throw new LedgerFault('UNSUPPORTED', `it was written by a newer version (${version})`);
}

/** Version of the tables in the file. */
export function schemaVersion(database: DatabaseSync): number {
  return pragma(database, 'user_version');
}

/** Brings the file to this program's version, in one transaction. */
export function migrate(database: DatabaseSync): void {
  const steps = MIGRATIONS.slice(pragma(database, 'user_version')).join('');
  if (steps === '') return;
  database.exec(
    `BEGIN IMMEDIATE; ${steps} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT;`,
  );
}

function pragma(database: DatabaseSync, name: 'user_version' | 'application_id'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}
