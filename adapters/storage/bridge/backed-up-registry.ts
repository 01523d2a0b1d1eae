import { DatabaseSync } from 'node:sqlite';
import type { AttemptRef } from '../storage-adapter.ts';
import { createPlaces } from './places.ts';
import { Tables } from './tables.ts';

/** One file of the bridge, as a copy of its records names it. */
export interface KeptFile {
  /** Below the bridge's directory. */
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  /** Undefined for an input. */
  readonly attempt: AttemptRef | undefined;
  /** Registered as its job's result. */
  readonly isResult: boolean;
}

/** Every whole file that the records name, one by one. Throws where the file is no registry. */
export function* keptFiles(registry: string): Generator<KeptFile> {
  const database = new DatabaseSync(registry, { readOnly: true });
  const places = createPlaces('');
  try {
    for (const row of database.prepare('SELECT sha256, size FROM input').iterate()) {
      const sha256 = String(row['sha256']);
      yield {
        path: places.input(sha256),
        size: Number(row['size']),
        sha256,
        attempt: undefined,
        isResult: false,
      };
    }
    const files =
      "SELECT job, attempt, name, size, sha256, (SELECT state FROM attempt WHERE attempt.job = file.job AND attempt.attempt = file.attempt) IS 'registered' AS result FROM file WHERE complete = 1";
    for (const row of database.prepare(files).iterate()) {
      const attempt = { job: String(row['job']), attempt: Number(row['attempt']) };
      const path = places.file(attempt, String(row['name']));
      yield {
        path,
        size: Number(row['size']),
        sha256: String(row['sha256']),
        attempt,
        isResult: row['result'] === 1,
      };
    }
  } finally {
    database.close();
  }
}

/**
 * Takes attempts whose files went while they were copied out of a copy of the records: they count as discarded, so that none
 * becomes a result without its files.
 */
export function forgetAttempts(registry: string, attempts: readonly AttemptRef[]): void {
  changing(registry, (_, tables) => {
    for (const ref of attempts) drop(tables, ref);
  });
}

/** How an attempt stands by the ledger: it is (or is about to be) the result, waits for its verdict, or neither. */
export type Standing = 'result' | 'waits' | 'neither';

/**
 * Makes records that were put back fit the ledger beside them: what was registered after the ledger was copied is no result
 * yet, or the job could never have another (one result per job). Answers how many were taken back.
 */
export function reconcileRegistry(registry: string, standing: (ref: AttemptRef) => Standing): number {
  let taken = 0;
  changing(registry, (database, tables) => {
    const all = database.prepare("SELECT job, attempt FROM attempt WHERE state = 'registered'").all();
    for (const row of all) {
      const ref = { job: String(row['job']), attempt: Number(row['attempt']) };
      const stands = standing(ref);
      if (stands === 'result') continue;
      if (stands === 'waits') tables.setState(ref, 'closed', Date.now());
      else drop(tables, ref);
      taken += 1;
    }
  });
  return taken;
}

function drop(tables: Tables, ref: AttemptRef): void {
  tables.setState(ref, 'discarded', Date.now());
  for (const { name } of tables.files(ref)) tables.deleteFile(ref, name);
}

function changing(registry: string, change: (database: DatabaseSync, tables: Tables) => void): void {
  const database = new DatabaseSync(registry);
  try {
    database.exec('PRAGMA synchronous = FULL; BEGIN IMMEDIATE');
    change(database, new Tables(database));
    database.exec('COMMIT');
  } finally {
    database.close();
  }
}
