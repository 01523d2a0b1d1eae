import { DatabaseSync } from 'node:sqlite';
import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { TakeSnapshot } from '../../../protocol/runtime/snapshot-desk.ts';
import { snapshotDatabase, type SnapshotProgress } from '../../../protocol/runtime/sqlite-snapshot.ts';
import { MIGRATIONS, Tables } from './tables.ts';

export interface RegistryOptions {
  readonly path: string;
  /** Bound on the database's size in pages of 4 KiB; none where it is left out. */
  readonly maxPages?: number;
}

/**
 * What the bridge must not forget: which files are whole, which attempts are closed, registered or discarded. On SQLite,
 * everything that was asked for in one turn of the event loop made durable by one sync.
 */
export interface Registry {
  /** For reading; what is still queued by `write` is not there yet. */
  readonly tables: Tables;
  /**
   * Runs a change with those queued beside it, in order, and resolves once it is durable. A change that throws undoes only
   * itself and rejects; where the group cannot be made durable all of it is undone and rejects (`STORAGE_FULL` on a full disk).
   */
  write<T>(change: (tables: Tables) => T): Promise<T>;
  /** Copies the records to a new file while they go on, as of one moment after the call. */
  snapshot: TakeSnapshot;
  /** Makes what is queued durable, then lets go of the file. */
  close(): void;
}

const APPLICATION_ID = 0x63706272;
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOT_A_DATABASE = 26;

/** Throws `STORAGE_IN_USE` where another bridge has the file, `STORAGE_CORRUPT` where it is damaged or not ours; never overwrites. */
export function openRegistry(options: RegistryOptions): Registry {
  const database = openDatabase(options);
  return new SqliteRegistry(database);
}

interface Queued {
  run(tables: Tables): Settled;
  readonly reject: (error: CoPilotError) => void;
}

/** What to tell whoever asked, once the group is durable. */
type Settled = () => void;

class SqliteRegistry implements Registry {
  readonly tables: Tables;
  readonly #database: DatabaseSync;
  #queue: Queued[] = [];
  #isClosed = false;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.tables = new Tables(database);
  }

  write<T>(change: (tables: Tables) => T): Promise<T> {
    if (this.#isClosed) return Promise.reject(new CoPilotError('UNREACHABLE', 'the bridge has stopped'));
    if (this.#queue.length === 0) setImmediate(() => this.#flush());
    return new Promise((resolve, reject) => {
      const run = (tables: Tables): Settled => {
        try {
          const result = this.#separately(() => change(tables));
          return () => resolve(result);
        } catch (caught) {
          if (isSqliteError(caught)) throw caught;
          return () => reject(toCoPilotError(caught));
        }
      };
      this.#queue.push({ run, reject });
    });
  }

  async snapshot(path: string, onProgress: (progress: SnapshotProgress) => void): Promise<void> {
    if (this.#isClosed) throw new CoPilotError('UNREACHABLE', 'the bridge has stopped');
    await snapshotDatabase(this.#database, path, onProgress);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#isClosed = true;
    this.#database.close();
  }

  #flush(): void {
    if (this.#isClosed || this.#queue.length === 0) return;
    const group = this.#queue;
    this.#queue = [];
    try {
      for (const settle of this.#commit(group)) settle();
    } catch (caught) {
      const error = translate(caught);
      for (const queued of group) queued.reject(error);
    }
  }

  #commit(group: readonly Queued[]): readonly Settled[] {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const settled = group.map((queued) => queued.run(this.tables));
      this.#database.exec('COMMIT');
      return settled;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #separately<T>(change: () => T): T {
    this.#database.exec('SAVEPOINT one');
    try {
      const result = change();
      this.#database.exec('RELEASE one');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK TO one; RELEASE one');
      throw error;
    }
  }
}

function openDatabase(options: RegistryOptions): DatabaseSync {
  const database = new DatabaseSync(options.path);
  try {
    prepare(database, options.maxPages);
    return database;
  } catch (error) {
    database.close();
    throw translate(error, options.path);
  }
}

/** The lock is taken for good by the first write: a second bridge on the same directory would answer from stale memory. */
function prepare(database: DatabaseSync, maxPages: number | undefined): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec('BEGIN EXCLUSIVE; COMMIT');
  const [check] = database.prepare('PRAGMA quick_check(1)').all();
  if (check?.quick_check !== 'ok') throw new CoPilotError('STORAGE_CORRUPT', 'quick_check found damage');
  const owner = database.prepare('PRAGMA application_id').get()?.application_id;
  const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
  if (owner !== (version === 0 ? 0 : APPLICATION_ID) || version > MIGRATIONS.length)
    throw new CoPilotError('STORAGE_CORRUPT', 'the file belongs to another program or version');
  const steps = MIGRATIONS.slice(version).join('');
  if (steps !== '')
    database.exec(
      `BEGIN; ${steps} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`,
    );
  if (maxPages !== undefined) database.exec(`PRAGMA max_page_count = ${maxPages}`);
}

function translate(caught: unknown, path = 'the registry'): CoPilotError {
  if (!isSqliteError(caught)) return toCoPilotError(caught);
  switch (caught.errcode & 0xff) {
    case SQLITE_BUSY:
      return new CoPilotError('STORAGE_IN_USE', `${path} is in use by another bridge`, { cause: caught });
    case SQLITE_CORRUPT:
    case SQLITE_NOT_A_DATABASE:
      return new CoPilotError('STORAGE_CORRUPT', `${path} is damaged: restore it from a copy`, {
        cause: caught,
      });
    case SQLITE_FULL:
      return new CoPilotError('STORAGE_FULL', 'the disk is full', { cause: caught });
    default:
      return new CoPilotError('INTERNAL', caught.message, { cause: caught });
  }
}

function isSqliteError(caught: unknown): caught is Error & { readonly errcode: number } {
  return caught instanceof Error && 'errcode' in caught && typeof caught.errcode === 'number';
}
