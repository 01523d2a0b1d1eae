import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { SnapshotProgress } from '../../protocol/runtime/sqlite-snapshot.ts';
import { ACCOUNT_COLUMNS } from './account-row.ts';
import { createConnection, type Row, type Session } from './postgres-connection.ts';
import { postgresError } from './postgres-errors.ts';
import { type PostgresPlace, placeText } from './postgres-place.ts';
import { parseRow } from './postgres-rows.ts';
import { type Counts, sumCounts, WRITER_STATEMENTS } from './postgres-writer.ts';
import { ledgerError } from './sqlite-errors.ts';
import { migrate } from './sqlite-schema.ts';

const PAGE = 500;

/**
 * Writes the whole ledger, as of one moment after the call, to a new file as SqliteLedger has it, and syncs it. The logs of the
 * writers become one, in the order of the ledger's clock. Progress counts rows. Rejects with our codes; what is at `path` is then no copy.
 */
export async function exportLedger(
  place: PostgresPlace,
  path: string,
  onProgress: (progress: SnapshotProgress) => void,
): Promise<void> {
  const connection = createConnection(place, 'co-pilot copy');
  try {
    const session = await connection.session();
    await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    await new Exporting(session, path, onProgress).run();
    await session.run('COMMIT');
  } catch (caught) {
    throw isOfFile(caught) ? ledgerError(caught, path) : postgresError(caught, placeText(place));
  } finally {
    await connection.close();
  }
}

/** SQLite and the file system say where they failed; the database's client does not. */
function isOfFile(caught: unknown): boolean {
  return caught instanceof Error && ('errcode' in caught || ('syscall' in caught && 'path' in caught));
}

class Exporting {
  readonly #session: Session;
  readonly #path: string;
  readonly #onProgress: (progress: SnapshotProgress) => void;
  #done = 0;
  #total = 0;

  constructor(session: Session, path: string, onProgress: (progress: SnapshotProgress) => void) {
    this.#session = session;
    this.#path = path;
    this.#onProgress = onProgress;
  }

  async run(): Promise<void> {
    closeSync(openSync(this.#path, 'wx', 0o600));
    const database = new DatabaseSync(this.#path);
    try {
      database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;');
      migrate(database);
      database.exec('BEGIN');
      await this.#all(database);
      database.exec('COMMIT');
    } finally {
      database.close();
    }
    await sync(this.#path);
  }

  async #all(database: DatabaseSync): Promise<void> {
    const [sizes] = await this.#session.run(
      'SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM agent) + (SELECT count(*) FROM owner) + (SELECT count(*) FROM tombstone) + (SELECT count(*) FROM account) + (SELECT count(*) FROM audit) AS rows',
    );
    this.#total = Number(sizes?.['rows']);
    const describe = database.prepare('INSERT INTO description (seq, text) VALUES (?, ?)');
    await this.#table(
      database,
      'SELECT job.*, text FROM job LEFT JOIN description USING (seq) ORDER BY seq',
      'INSERT INTO job (seq, id, state, deadline, duty, row) VALUES (?, ?, ?, ?, ?, ?)',
      ({ seq, id, state, deadline, duty, row, text }) => {
        if (typeof text === 'string') describe.run(Number(seq), String(parseRow(text)));
        return [
          Number(seq),
          String(id),
          String(state),
          numberOf(deadline),
          duty === true ? 1 : 0,
          String(row),
        ];
      },
    );
    await this.#table(
      database,
      'SELECT * FROM agent ORDER BY id',
      'INSERT INTO agent (id, seen, row) VALUES (?, ?, ?)',
      ({ id, seen, row }) => [String(id), Number(seen), String(row)],
    );
    await this.#table(
      database,
      'SELECT * FROM owner ORDER BY id',
      'INSERT INTO owner (id, row) VALUES (?, ?)',
      ({ id, row }) => [String(id), String(row)],
    );
    await this.#table(
      database,
      'SELECT * FROM tombstone ORDER BY id',
      'INSERT INTO tombstone (id, at, attempt) VALUES (?, ?, ?)',
      ({ id, at, attempt }) => [String(id), Number(at), Number(attempt)],
    );
    await this.#table(
      database,
      'SELECT * FROM account ORDER BY key',
      `INSERT INTO account (${ACCOUNT_COLUMNS.join(', ')}) VALUES (${ACCOUNT_COLUMNS.map(() => '?').join(', ')})`,
      (row) => [String(row['key']), ...ACCOUNT_COLUMNS.slice(1).map((column) => Number(row[column]))],
    );
    const nextAudit = await this.#audit(database);
    await this.#meta(database, nextAudit);
  }

  /** Number of the record after the last. A gap in the log of a writer is one here. */
  async #audit(database: DatabaseSync): Promise<number> {
    const logs = new AuditNumbers();
    await this.#table(
      database,
      'SELECT * FROM audit ORDER BY at, writer, first',
      'INSERT INTO audit (first, count, lines) VALUES (?, ?, ?)',
      ({ writer, first, count, lines }) => [
        logs.number(Number(writer), Number(first), Number(count)),
        Number(count),
        String(lines),
      ],
    );
    const writers = await this.#session.run('SELECT id, next_audit FROM writer ORDER BY id');
    for (const { id, next_audit: next } of writers) logs.number(Number(id), Number(next), 0);
    return logs.next;
  }

  async #meta(database: DatabaseSync, nextAudit: number): Promise<void> {
    const [now] = await this.#session.run(WRITER_STATEMENTS.now);
    const found = await this.#session.run(WRITER_STATEMENTS.counts);
    const counts = sumCounts(found.map((row) => parseRow(row['counts']) as Counts));
    const meta = JSON.stringify({ clockMs: Number(now?.['now']), nextAudit, counts });
    database.prepare("INSERT INTO meta (name, value) VALUES ('ledger', ?)").run(meta);
  }

  async #table(
    database: DatabaseSync,
    query: string,
    insert: string,
    valuesOf: (row: Row) => readonly SQLInputValue[],
  ): Promise<void> {
    const statement = database.prepare(insert);
    await this.#session.run(`DECLARE rows NO SCROLL CURSOR FOR ${query}`);
    for (;;) {
      const page = await this.#session.run(`FETCH ${PAGE} FROM rows`);
      for (const row of page) statement.run(...valuesOf(row));
      this.#done += page.length;
      this.#onProgress({ donePages: this.#done, totalPages: this.#total });
      if (page.length < PAGE) break;
    }
    await this.#session.run('CLOSE rows');
  }
}

/** Makes one numbering of several that each began somewhere. */
class AuditNumbers {
  readonly #expected = new Map<number, number>();
  next = 1;

  number(writer: number, first: number, count: number): number {
    this.next += first - (this.#expected.get(writer) ?? first);
    this.#expected.set(writer, first + count);
    const number = this.next;
    this.next += count;
    return number;
  }
}

function numberOf(value: unknown): number | null {
  return value === null ? null : Number(value);
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
