import { DatabaseSync } from 'node:sqlite';
import type { TakeSnapshot } from '../../protocol/runtime/snapshot-desk.ts';
import { snapshotDatabase } from '../../protocol/runtime/sqlite-snapshot.ts';
import type { Identity } from '../../protocol/generated/types.ts';
import { ledgerError } from '../ledger/sqlite-errors.ts';
import type { CodeStore, CodeTerms } from './code-store.ts';

const TIERS: readonly Identity['tier'][] = ['untrusted', 'semi-trusted', 'trusted'];

/** Name and columns of the one table there is. */
export const CODE_TABLE = `code (
    digest TEXT PRIMARY KEY, owner TEXT NOT NULL, site TEXT NOT NULL, tier TEXT NOT NULL, expires INTEGER NOT NULL, spent_by TEXT
  ) STRICT, WITHOUT ROWID`;

const SCHEMA = `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS ${CODE_TABLE};`;

/** The terms of a row that a database holds; undefined where it holds none. */
export function termsOf(row: Readonly<Record<string, unknown>> | undefined): CodeTerms | undefined {
  const tier = TIERS.find((entry) => entry === row?.['tier']);
  return row === undefined || tier === undefined
    ? undefined
    : { owner: String(row['owner']), site: String(row['site']), tier };
}

/** One-use codes in a SQLite file of their own; every change is synced. Throws as the ledger does where the file is no good. */
export function openCodeStore(path: string): CodeStore & { readonly snapshot: TakeSnapshot } {
  const database = open(path);
  const insert = database.prepare(
    'INSERT INTO code (digest, owner, site, tier, expires) VALUES (?, ?, ?, ?, ?)',
  );
  // One statement decides the race: of many at once, one finds the code unspent.
  const claim = database.prepare(
    'UPDATE code SET spent_by = ?1 WHERE digest = ?2 AND expires > ?3 AND (spent_by IS NULL OR spent_by = ?1) RETURNING owner, site, tier',
  );
  return {
    async add(digest, { owner, site, tier }, expiresMs) {
      insert.run(digest, owner, site, tier, Math.floor(expiresMs));
    },
    async spend(digest, key, nowMs) {
      const terms = termsOf(claim.get(key, digest, Math.floor(nowMs)));
      return terms === undefined ? { kind: 'refused' } : { kind: 'spent', terms };
    },
    snapshot: (to, onProgress) => snapshotDatabase(database, to, onProgress),
    async close() {
      database.close();
    },
  };
}

function open(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec(SCHEMA);
    return database;
  } catch (caught) {
    database?.close();
    throw ledgerError(caught, path);
  }
}
