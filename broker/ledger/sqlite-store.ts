import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { CoPilotError } from '../../protocol/errors.ts';
import type { Account } from '../core/account.ts';
import { isFinal } from '../core/audit.ts';
import type { Command, Outcome } from '../core/command.ts';
import type { Lookup } from '../core/rows.ts';
import type { AgentRow, JobRow, JobState, OwnerRow } from '../core/state.ts';
import { accountOf } from './account-row.ts';
import { decideGroup, type GroupResult, isSignOfLife } from './group.ts';
import type { JobQuery, StoredJob } from './ledger.ts';
import { LedgerFault, ledgerError } from './sqlite-errors.ts';
import { encodeOutcomes } from './outcome-text.ts';
import { cached, createRowCache, type RowCache } from './row-cache.ts';
import type { LedgerRetention } from '../core/prune.ts';
import type { Pruned } from './keeping.ts';
import { type Removed, SqlitePruning } from './sqlite-pruning.ts';
import { identify, migrate } from './sqlite-schema.ts';
import { liveDeadline, matches, storedJob } from './stored-job.ts';

/** Every statement there is. Those that run per command or per sweep must be served by an index: a test reads their plans. */
export const STATEMENTS = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  job: 'SELECT row FROM job WHERE id = ?',
  agent: 'SELECT row FROM agent WHERE id = ?',
  agents: 'SELECT row FROM agent WHERE id > ? ORDER BY id LIMIT ?',
  owner: 'SELECT row FROM owner WHERE id = ?',
  accounts: 'SELECT * FROM account WHERE key > ? ORDER BY key LIMIT ?',
  description: 'SELECT text FROM description WHERE seq = (SELECT seq FROM job WHERE id = ?)',
  insertJob: 'INSERT INTO job (state, deadline, duty, row, id) VALUES (?, ?, ?, ?, ?)',
  updateJob: 'UPDATE job SET state = ?, deadline = ?, duty = ?, row = ? WHERE id = ?',
  updateJobRow: 'UPDATE job SET row = ? WHERE id = ?',
  putDescription: 'INSERT INTO description (seq, text) VALUES (?, ?)',
  putAgent:
    'INSERT INTO agent (id, row, seen) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET row = excluded.row, seen = excluded.seen',
  touchAgent: 'UPDATE agent SET seen = ? WHERE id = ? AND seen < ?',
  tombstone: 'SELECT at, attempt FROM tombstone WHERE id = ?',
  putOwner: 'INSERT INTO owner (id, row) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET row = excluded.row',
  putAudit: 'INSERT INTO audit (first, count, lines) VALUES (?, ?, ?)',
  putMeta:
    'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  meta: 'SELECT value FROM meta WHERE name = ?',
  due: 'SELECT id FROM job WHERE deadline IS NOT NULL AND deadline < ? ORDER BY deadline LIMIT ?',
  queued: page("INDEXED BY job_queued WHERE state = 'queued' AND"),
  live: page('INDEXED BY job_live WHERE deadline IS NOT NULL AND'),
  duties: page('INDEXED BY job_duty WHERE duty = 1 AND'),
  all: page('WHERE'),
} as const;

function page(where: string): string {
  const after = 'coalesce((SELECT seq FROM job WHERE id = ?), 0)';
  return `SELECT id, row FROM job ${where} seq > ${after} ORDER BY seq LIMIT ?`;
}

type Statements = Readonly<Record<keyof typeof STATEMENTS, StatementSync>>;

/** What is not per row: kept in one row of `meta`, written with every group. */
interface Meta {
  /** Ledger time of the last group. */
  readonly clockMs: number;
  /** Number of the next audit record. */
  readonly nextAudit: number;
  readonly counts: Readonly<Partial<Record<JobState, number>>>;
}

/** The ledger's file, synchronous: one transaction a group. Every method throws our codes (sqlite-errors.ts). */
export interface SqliteStore {
  /** Ledger time when the file was last written. */
  readonly clockMs: number;
  apply(commands: readonly Command[], nowMs: number): readonly Outcome[];
  /** As `apply`, the outcomes as JSON: for another thread, which costs less than a clone since written rows are text already. */
  applyAsText(commands: readonly Command[], nowMs: number): string;
  due(nowMs: number, limit: number): readonly string[];
  list(query: JobQuery['kind'], after: string, limit: number): readonly StoredJob[];
  job(id: string): StoredJob | undefined;
  agent(id: string): AgentRow | undefined;
  owner(id: string): OwnerRow | undefined;
  agents(after: string, limit: number): readonly AgentRow[];
  accounts(after: string, limit: number): readonly Account[];
  count(): Readonly<Partial<Record<JobState, number>>>;
  /** One step of pruning, as `LedgerKeeping` says. */
  prune(retention: LedgerRetention, nowMs: number, limit: number): Pruned;
  /** Records what the clock has come to, and closes; idempotent. */
  close(nowMs: number): void;
  /** For tests and tools of ours; the schema is no interface. */
  readonly database: DatabaseSync;
}

/** How long to wait for another process to let the file go, as one that is just ending does. */
const BUSY_TIMEOUT_MS = 2_000;
/** Pages of the write-ahead log before they move to the file, 64 MiB: a job's row changes some five times and should move once. */
const CHECKPOINT_PAGES = 16_384;
/**
 * Page cache in KiB, small on purpose: after a commit that balanced a tree SQLite looks through the whole table of cached pages. What
 * is not here is in the system's cache (docs/adr/0012).
 */
const CACHE_KIB = 8_192;
const GRACE_PAGE = 1_000;
/** Parsed rows kept, of jobs, agents and owners each; a row is up to 3 KiB. */
const CACHED_ROWS = 8_192;
/** How exactly it is known when an agent that only says hello was last heard of. */
const SEEN_MS = 86_400_000;

/**
 * Opens or creates the ledger at `path` and gives every live attempt a fresh lease. Throws `LEDGER_IN_USE`, `LEDGER_CORRUPT`,
 * `LEDGER_FULL`, `LEDGER_UNAVAILABLE` or `UNSUPPORTED`; what is there is never overwritten.
 */
export function openSqliteStore(path: string): SqliteStore {
  const database = openSqliteFile(path);
  try {
    const store = new SqliteStoreHandle(database, path);
    store.grace();
    return store;
  } catch (caught) {
    database.close();
    throw ledgerError(caught, path);
  }
}

/** Opens or creates the file, brings it to this version and holds it for itself. Throws as `openSqliteStore` does. */
export function openSqliteFile(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    // SQLite would create it readable for everybody the umask lets.
    closeSync(openSync(path, 'a', 0o600));
    database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    // Exclusive before the first access: the lock stays ours for good, and the log's index stays in memory.
    database.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;',
    );
    database.exec('BEGIN EXCLUSIVE; COMMIT;');
    identify(database);
    checkIntegrity(database);
    database.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${CHECKPOINT_PAGES * 4_096 * 2}; PRAGMA cache_size = -${CACHE_KIB};`,
    );
    migrate(database);
    return database;
  } catch (caught) {
    database?.close();
    throw ledgerError(caught, path);
  }
}

function checkIntegrity(database: DatabaseSync): void {
  const found = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
  if (found !== 'ok') throw new LedgerFault('LEDGER_CORRUPT', String(found));
}

class SqliteStoreHandle implements SqliteStore {
  readonly database: DatabaseSync;
  readonly #path: string;
  readonly #statements: Statements;
  readonly #caches: Caches = {
    jobs: createRowCache(CACHED_ROWS),
    agents: createRowCache(CACHED_ROWS),
    owners: createRowCache(CACHED_ROWS),
  };
  readonly #lookup: Lookup;
  readonly #pruning: SqlitePruning;
  #meta: Meta;
  #fault: CoPilotError | undefined;

  constructor(database: DatabaseSync, path: string) {
    this.database = database;
    this.#path = path;
    this.#statements = prepareAll(database);
    this.#lookup = lookupIn(this.#statements, this.#caches);
    this.#pruning = new SqlitePruning(database);
    this.#meta = readMeta(this.#statements);
  }

  get clockMs(): number {
    return this.#meta.clockMs;
  }

  apply(commands: readonly Command[], nowMs: number): readonly Outcome[] {
    return this.#apply(commands, nowMs).outcomes;
  }

  applyAsText(commands: readonly Command[], nowMs: number): string {
    const { outcomes, texts } = this.#apply(commands, nowMs);
    return encodeOutcomes(outcomes, texts);
  }

  #apply(commands: readonly Command[], nowMs: number): Applied {
    return this.#guarded(() => {
      const result = decideGroup(commands, this.#lookup, nowMs);
      const texts = new Map<object, string>();
      this.#touch(result, nowMs);
      if (changesNothing(result)) return { outcomes: result.outcomes, texts };
      const meta = metaAfter(this.#meta, result, nowMs);
      this.#transaction(() => {
        this.#write(result, texts, nowMs);
        this.#writeMeta(meta);
      });
      this.#meta = meta;
      this.#remember(result);
      return { outcomes: result.outcomes, texts };
    });
  }

  due(nowMs: number, limit: number): readonly string[] {
    return this.#guarded(() => this.#statements.due.all(nowMs, limit).map((found) => String(found.id)));
  }

  list(query: JobQuery['kind'], after: string, limit: number): readonly StoredJob[] {
    return this.#guarded(() =>
      this.#statements[query].all(after, limit).map((found) => {
        return storedJob(parseRow(found.row) as JobRow, this.#description(String(found.id)));
      }),
    );
  }

  job(id: string): StoredJob | undefined {
    return this.#guarded(() => {
      const job = this.#lookup.job(id);
      return job && storedJob(job, this.#description(id));
    });
  }

  agent(id: string): AgentRow | undefined {
    return this.#guarded(() => this.#lookup.agent(id));
  }

  owner(id: string): OwnerRow | undefined {
    return this.#guarded(() => this.#lookup.owner(id));
  }

  agents(after: string, limit: number): readonly AgentRow[] {
    return this.#guarded(() =>
      this.#statements.agents.all(after, limit).map((found) => parseRow(found.row) as AgentRow),
    );
  }

  accounts(after: string, limit: number): readonly Account[] {
    return this.#guarded(() => this.#statements.accounts.all(after, limit).map(accountOf));
  }

  count(): Readonly<Partial<Record<JobState, number>>> {
    return this.#meta.counts;
  }

  /** A broker that was down could answer no renewal. */
  grace(): void {
    let after = '';
    for (;;) {
      const jobs = this.#statements.live.all(after, GRACE_PAGE).map((found) => String(found.id));
      const last = jobs.at(-1);
      if (last === undefined) return;
      this.apply(
        jobs.map((job) => ({ kind: 'grace', job })),
        this.#meta.clockMs,
      );
      after = last;
    }
  }

  close(nowMs: number): void {
    if (!this.database.isOpen) return;
    try {
      this.#guarded(() => {
        this.#writeMeta({ ...this.#meta, clockMs: Math.max(nowMs, this.#meta.clockMs) });
      });
    } finally {
      this.database.close();
    }
  }

  prune(retention: LedgerRetention, nowMs: number, limit: number): Pruned {
    return this.#guarded(() => {
      const { counts, nextAudit } = this.#meta;
      let removed: Removed | undefined;
      let meta = this.#meta;
      try {
        this.#transaction(() => {
          removed = this.#pruning.step({ retention, nowMs, limit, counts, nextAudit });
          meta = metaWithout(this.#meta, removed.jobs);
          if (meta !== this.#meta) this.#writeMeta(meta);
        });
      } catch (caught) {
        this.#pruning.forget();
        throw caught;
      }
      this.#meta = meta;
      for (const { id } of removed?.jobs ?? []) this.#caches.jobs.drop(id);
      for (const id of removed?.agents ?? []) this.#caches.agents.drop(id);
      return (
        removed?.pruned ?? { jobs: 0, agents: 0, tombstones: 0, auditRecords: 0, lapsed: [], more: false }
      );
    });
  }

  /** A hello or a renewal that changes nothing is still a sign of life. Lost in a crash, the agent only seems a day older. */
  #touch({ outcomes, agents }: GroupResult, nowMs: number): void {
    for (const outcome of outcomes) {
      if (isSignOfLife(outcome) && !agents.has(outcome.agent.id))
        this.#statements.touchAgent.run(nowMs, outcome.agent.id, nowMs - SEEN_MS);
    }
  }

  #write(result: GroupResult, texts: Map<object, string>, nowMs: number): void {
    const { putAgent, putOwner, putAudit } = this.#statements;
    const textOf = (row: object): string => {
      const text = JSON.stringify(row);
      texts.set(row, text);
      return text;
    };
    for (const [id, { before, after }] of result.jobs) {
      if (before === undefined) this.#insertJob(after, textOf(after), result.descriptions.get(id) ?? '');
      else this.#updateJob(before, after, textOf(after));
    }
    for (const [id, agent] of result.agents) putAgent.run(id, textOf(agent), nowMs);
    for (const [id, owner] of result.owners) putOwner.run(id, textOf(owner));
    const { audit } = result;
    if (audit.length > 0) putAudit.run(this.#meta.nextAudit, audit.length, audit.join('\n'));
  }

  #insertJob(job: JobRow, row: string, description: string): void {
    const { insertJob, putDescription } = this.#statements;
    const { lastInsertRowid } = insertJob.run(...columnsOf(job), row, job.id);
    putDescription.run(lastInsertRowid, description);
  }

  #updateJob(before: JobRow, after: JobRow, row: string): void {
    const columns = columnsOf(after);
    if (isSame(columns, columnsOf(before))) this.#statements.updateJobRow.run(row, after.id);
    else this.#statements.updateJob.run(...columns, row, after.id);
  }

  /** After the commit alone: nothing of a failed group is ever seen. A job that ended is hardly asked for again. */
  #remember({ jobs, agents, owners }: GroupResult): void {
    for (const [id, { after }] of jobs) {
      if (isFinal(after.state)) this.#caches.jobs.drop(id);
      else this.#caches.jobs.put(id, after);
    }
    for (const [id, agent] of agents) this.#caches.agents.put(id, agent);
    for (const [id, owner] of owners) this.#caches.owners.put(id, owner);
  }

  #writeMeta(meta: Meta): void {
    this.#statements.putMeta.run('ledger', JSON.stringify(meta));
  }

  #description(id: string): string {
    return this.#lookup.description(id) ?? '';
  }

  #transaction(write: () => void): void {
    this.#statements.begin.run();
    try {
      write();
      this.#statements.commit.run();
    } catch (caught) {
      // SQLite has rolled back by itself after some faults, a full disk among them.
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw caught;
    }
  }

  #guarded<Value>(action: () => Value): Value {
    if (this.#fault !== undefined) throw this.#fault;
    try {
      return action();
    } catch (caught) {
      const error = ledgerError(caught, this.#path);
      // After a failed sync nobody knows what is on disk: only opening the file again tells.
      if (error.code === 'LEDGER_UNAVAILABLE' || error.code === 'LEDGER_CORRUPT') this.#fault = error;
      throw error;
    }
  }
}

/** Outcomes of a durable group, and the text of every row it wrote. */
interface Applied {
  readonly outcomes: readonly Outcome[];
  readonly texts: ReadonlyMap<object, string>;
}

type Columns = readonly [state: JobState, deadline: number | null, duty: 0 | 1];

function columnsOf(job: JobRow): Columns {
  return [job.state, liveDeadline(job), matches(job, 'duties') ? 1 : 0];
}

function isSame(one: Columns, other: Columns): boolean {
  return one.every((value, at) => value === other[at]);
}

function prepareAll(database: DatabaseSync): Statements {
  const entries = Object.entries(STATEMENTS).map(([name, text]) => [name, database.prepare(text)]);
  return Object.fromEntries(entries) as Statements;
}

interface Caches {
  readonly jobs: RowCache<JobRow>;
  readonly agents: RowCache<AgentRow>;
  readonly owners: RowCache<OwnerRow>;
}

function lookupIn(statements: Statements, { jobs, agents, owners }: Caches): Lookup {
  const read = (statement: StatementSync, id: string): unknown => {
    const found = statement.get(id);
    return found === undefined ? undefined : parseRow(found.row);
  };
  return {
    job: cached(jobs, (id) => read(statements.job, id) as JobRow | undefined),
    agent: cached(agents, (id) => read(statements.agent, id) as AgentRow | undefined),
    owner: cached(owners, (id) => read(statements.owner, id) as OwnerRow | undefined),
    tombstone: (id) => {
      const found = statements.tombstone.get(id);
      return found && { id, atMs: Number(found.at), attempt: Number(found.attempt) };
    },
    description: (id) => {
      const found = statements.description.get(id);
      return found === undefined ? undefined : String(found.text);
    },
  };
}

/** Rows are written by this file alone, so one that is no JSON is damage. */
function parseRow(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch (cause) {
    throw new LedgerFault('LEDGER_CORRUPT', 'a row is no JSON', { cause });
  }
}

function readMeta(statements: Statements): Meta {
  const found = statements.meta.get('ledger');
  return found === undefined ? { clockMs: 0, nextAudit: 1, counts: {} } : (parseRow(found.value) as Meta);
}

function metaAfter(meta: Meta, result: GroupResult, nowMs: number): Meta {
  const counts: Partial<Record<JobState, number>> = { ...meta.counts };
  for (const { before, after } of result.jobs.values()) {
    if (before !== undefined) counts[before.state] = (counts[before.state] ?? 0) - 1;
    counts[after.state] = (counts[after.state] ?? 0) + 1;
  }
  return { clockMs: nowMs, nextAudit: meta.nextAudit + result.audit.length, counts };
}

function metaWithout(meta: Meta, jobs: readonly JobRow[]): Meta {
  if (jobs.length === 0) return meta;
  const counts: Partial<Record<JobState, number>> = { ...meta.counts };
  for (const { state } of jobs) counts[state] = (counts[state] ?? 0) - 1;
  return { ...meta, counts };
}

function changesNothing({ jobs, agents, owners, audit }: GroupResult): boolean {
  return jobs.size + agents.size + owners.size + audit.length === 0;
}
