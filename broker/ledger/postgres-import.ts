import { existsSync } from 'node:fs';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { CoPilotError } from '../../protocol/errors.ts';
import { CODE_TABLE } from '../enrolment/sqlite-code-store.ts';
import type { CheckProgress } from './check-ledger.ts';
import { createConnection, type Session } from './postgres-connection.ts';
import { PostgresFault, postgresError } from './postgres-errors.ts';
import { type PostgresPlace, placeText, schemaOf } from './postgres-place.ts';
import { LOCK, makeSchema, migrateInside, openingKey } from './postgres-schema.ts';
import { ledgerError } from './sqlite-errors.ts';
import { openSqliteFile } from './sqlite-store.ts';

export interface ImportOptions {
  /** The file of a ledger that no broker has open; it is held until the end, and left as it is. */
  readonly from: string;
  /** The file of its one-use codes, held and left likewise; there need be none. */
  readonly codes: string;
  readonly to: PostgresPlace;
  /** Do everything, compare everything, and take it all back. */
  readonly dryRun: boolean;
  readonly onProgress: (progress: CheckProgress) => void;
}

/** What was moved, each row compared with what is in the database then. */
export interface Imported {
  readonly jobs: number;
  readonly agents: number;
  readonly owners: number;
  readonly tombstones: number;
  readonly auditRecords: number;
  /** One-use codes, those that are spent as spent. */
  readonly codes: number;
  readonly clockMs: number;
}

/** The writer whose log and counts the file's become. */
const WRITER_NAME = 'moved from SQLite';
const PAGE = 500;

/**
 * Moves a ledger from SQLite into an empty database, in one transaction: every row, description, tombstone and audit record, counts
 * and clock, and the codes that lie beside it. Each row is read back and compared before the commit. Rejects with `NOT_FOUND` where there is no file, `CONFLICT` where the database is not empty,
 * `LEDGER_IN_USE` where a broker runs, and as opening the one or the other does; then nothing was changed.
 */
export async function importLedger({
  from,
  codes,
  to,
  dryRun,
  onProgress,
}: ImportOptions): Promise<Imported> {
  const file = openFile(from, codes);
  const connection = createConnection(to, 'co-pilot ledger migrate');
  try {
    const session = await connection.session();
    await session.run('BEGIN');
    await prepareTarget(session, schemaOf(to));
    const imported = await new Importing(file, session, onProgress).run();
    await session.run(dryRun ? 'ROLLBACK' : 'COMMIT');
    return imported;
  } catch (caught) {
    throw caught instanceof Error && 'errcode' in caught
      ? ledgerError(caught, from)
      : postgresError(caught, placeText(to));
  } finally {
    file.close();
    await connection.close();
  }
}

function openFile(path: string, codes: string): DatabaseSync {
  if (!existsSync(path)) throw new CoPilotError('NOT_FOUND', `there is no ledger ${path}`);
  const file = openSqliteFile(path);
  try {
    if (existsSync(codes)) attachCodes(file, codes);
    else file.exec(`CREATE TEMP TABLE ${CODE_TABLE}`);
    file.exec('BEGIN IMMEDIATE');
    return file;
  } catch (caught) {
    file.close();
    throw ledgerError(caught, codes);
  }
}

/** A broker that died before it made the table has no codes. */
function attachCodes(file: DatabaseSync, path: string): void {
  file.prepare('ATTACH ? AS codes').run(path);
  file.exec(`CREATE TABLE IF NOT EXISTS codes.${CODE_TABLE}`);
}

async function prepareTarget(session: Session, schema: string): Promise<void> {
  await session.run(LOCK.replace('pg_advisory_lock', 'pg_advisory_xact_lock'), [openingKey(schema)]);
  await makeSchema(session, schema);
  await migrateInside(session, schema);
  const found = await Promise.all(
    ['job', 'agent', 'owner', 'tombstone', 'account', 'audit', 'writer', 'code'].map(async (table) => {
      const [first] = await session.run(`SELECT 1 FROM ${table} LIMIT 1`);
      return first === undefined ? [] : [table];
    }),
  );
  const full = found.flat();
  if (full.length > 0)
    throw new PostgresFault(
      'CONFLICT',
      `there are rows in ${full.join(', ')}; take another database, or drop the schema ${schema}`,
    );
}

type Column = 'bigint' | 'integer' | 'boolean' | 'text' | 'double precision';

/** How rows of one kind are read there and written here, column by column in one order. */
interface Table {
  readonly name: string;
  readonly read: string;
  /** The first is the key by which rows are compared in order. */
  readonly columns: Readonly<Record<string, Column>>;
  readonly convert?: Readonly<Record<string, (value: SQLOutputValue) => unknown>>;
}

const asJson = (value: SQLOutputValue): string => JSON.stringify(String(value));
const asBoolean = (value: SQLOutputValue): boolean => value === 1;

const TABLES: readonly Table[] = [
  {
    name: 'job',
    read: 'SELECT seq, id, 1 AS writer, state, deadline, duty, row FROM job ORDER BY seq',
    columns: {
      seq: 'bigint',
      id: 'text',
      writer: 'integer',
      state: 'text',
      deadline: 'bigint',
      duty: 'boolean',
      row: 'text',
    },
    convert: { duty: asBoolean },
  },
  {
    name: 'description',
    read: 'SELECT seq, text FROM description ORDER BY seq',
    columns: { seq: 'bigint', text: 'text' },
    convert: { text: asJson },
  },
  {
    name: 'agent',
    read: 'SELECT id, seen, row FROM agent ORDER BY id',
    columns: { id: 'text', seen: 'bigint', row: 'text' },
  },
  {
    name: 'owner',
    read: 'SELECT id, row FROM owner ORDER BY id',
    columns: { id: 'text', row: 'text' },
  },
  {
    name: 'tombstone',
    read: 'SELECT id, at, attempt FROM tombstone ORDER BY id',
    columns: { id: 'text', at: 'bigint', attempt: 'integer' },
  },
  {
    name: 'account',
    read: 'SELECT key, jobs, events, attempts, cpu, wall, lost_cpu, lost_wall FROM account ORDER BY key',
    columns: {
      key: 'text',
      jobs: 'bigint',
      events: 'bigint',
      attempts: 'bigint',
      cpu: 'double precision',
      wall: 'double precision',
      lost_cpu: 'double precision',
      lost_wall: 'double precision',
    },
  },
  {
    name: 'audit',
    read: `SELECT first, 1 AS writer, count, json_extract(substr(lines, 1, instr(lines || char(10), char(10)) - 1), '$.atMs') AS at, lines
      FROM audit ORDER BY first`,
    columns: { first: 'bigint', writer: 'integer', count: 'integer', at: 'bigint', lines: 'text' },
  },
  {
    name: 'code',
    read: 'SELECT digest, owner, site, tier, expires, spent_by FROM code ORDER BY digest',
    columns: {
      digest: 'text',
      owner: 'text',
      site: 'text',
      tier: 'text',
      expires: 'bigint',
      spent_by: 'text',
    },
  },
];

interface Meta {
  readonly clockMs: number;
  readonly nextAudit: number;
  readonly counts: object;
}

class Importing {
  readonly #file: DatabaseSync;
  readonly #session: Session;
  readonly #onProgress: (progress: CheckProgress) => void;
  #doneRows = 0;
  #totalRows = 0;

  constructor(file: DatabaseSync, session: Session, onProgress: (progress: CheckProgress) => void) {
    this.#file = file;
    this.#session = session;
    this.#onProgress = onProgress;
  }

  async run(): Promise<Imported> {
    // Each row is written and then compared.
    this.#totalRows = 2 * TABLES.reduce((sum, { name }) => sum + this.#size(name), 0);
    const meta = this.#meta();
    await this.#session.run(
      'INSERT INTO writer (id, name, term, groups, clock, seen, next_audit, counts) VALUES (1, $1, 1, 0, $2, NULL, $3, $4)',
      [WRITER_NAME, meta.clockMs, meta.nextAudit, JSON.stringify(meta.counts)],
    );
    await this.#session.run(
      'UPDATE ledger SET epoch = (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1::bigint',
      [meta.clockMs],
    );
    for (const table of TABLES) await this.#write(table);
    for (const [table, key] of [
      ['job', 'seq'],
      ['writer', 'id'],
    ] as const)
      await this.#session.run(
        `SELECT setval(pg_get_serial_sequence('${table}', '${key}'), coalesce((SELECT max(${key}) FROM ${table}), 0) + 1, false)`,
      );
    for (const table of TABLES) await this.#compare(table);
    return {
      jobs: this.#size('job'),
      agents: this.#size('agent'),
      owners: this.#size('owner'),
      tombstones: this.#size('tombstone'),
      auditRecords: Number(
        this.#file.prepare('SELECT sum(count) AS records FROM audit').get()?.['records'] ?? 0,
      ),
      codes: this.#size('code'),
      clockMs: meta.clockMs,
    };
  }

  #size(table: string): number {
    return Number(this.#file.prepare(`SELECT count(*) AS size FROM ${table}`).get()?.['size'] ?? 0);
  }

  #meta(): Meta {
    const found = this.#file.prepare("SELECT value FROM meta WHERE name = 'ledger'").get();
    if (found === undefined) return { clockMs: 0, nextAudit: 1, counts: {} };
    return JSON.parse(String(found['value'])) as Meta; // written by the ledger alone
  }

  async #write(table: Table): Promise<void> {
    const types = Object.values(table.columns).map((type, at) => `$${at + 1}::${type}[]`);
    const text = `INSERT INTO ${table.name} (${Object.keys(table.columns).join(', ')}) SELECT * FROM unnest(${types.join(', ')})`;
    for (const page of this.#pages(table)) {
      const columns = Object.keys(table.columns).map((_, at) => page.map((row) => row[at]));
      await this.#session.run(text, columns);
      this.#tell(page.length);
    }
  }

  async #compare(table: Table): Promise<void> {
    const names = Object.keys(table.columns);
    const [key = ''] = names;
    await this.#session.run(
      `DECLARE rows NO SCROLL CURSOR FOR SELECT ${names.join(', ')} FROM ${table.name} ORDER BY ${key}`,
    );
    for (const page of this.#pages(table)) {
      const found = await this.#session.run(`FETCH ${page.length} FROM rows`);
      for (const [at, row] of page.entries()) {
        const other = names.map((name) => found[at]?.[name]);
        if (!row.every((value, column) => isSame(value, other[column])))
          throw new PostgresFault('INTERNAL', `${table.name} ${String(row[0])} is not what it was`);
      }
      this.#tell(page.length);
    }
    if ((await this.#session.run('FETCH 1 FROM rows')).length > 0)
      throw new PostgresFault('INTERNAL', `${table.name} has more rows than it had`);
    await this.#session.run('CLOSE rows');
  }

  *#pages(table: Table): Generator<readonly (readonly unknown[])[]> {
    let page: (readonly unknown[])[] = [];
    for (const row of this.#file.prepare(table.read).iterate()) {
      page.push(
        Object.keys(table.columns).map((name) => {
          const value = row[name] ?? null;
          return table.convert?.[name]?.(value) ?? value;
        }),
      );
      if (page.length < PAGE) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }

  #tell(rows: number): void {
    this.#doneRows += rows;
    this.#onProgress({ doneRows: this.#doneRows, totalRows: this.#totalRows });
  }
}

/** The database's client gives large integers as text. */
function isSame(written: unknown, found: unknown): boolean {
  return typeof written === 'number' ? Number(found) === written : found === written;
}
