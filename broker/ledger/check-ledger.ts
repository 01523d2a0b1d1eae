import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { invariants } from '../core/invariants.ts';
import type { AgentRow, JobRow, OwnerRow } from '../core/state.ts';
import { ledgerError } from './sqlite-errors.ts';
import { identify, schemaVersion } from './sqlite-schema.ts';
import { liveDeadline, matches } from './stored-job.ts';

/** What was looked at, and what is wrong with it; no fault is a sound ledger. */
export interface LedgerCheck {
  readonly version: number;
  readonly jobs: number;
  readonly agents: number;
  readonly owners: number;
  readonly auditRecords: number;
  /** The first ones; `faultCount` counts all. */
  readonly faults: readonly string[];
  readonly faultCount: number;
}

export interface CheckProgress {
  readonly doneRows: number;
  readonly totalRows: number;
}

const MAX_FAULTS = 100;
const ROWS_A_NOTICE = 1_000;
/** The version from which on a ledger counts the agents of an owner. */
const COUNTS_AGENTS = 3;

type Row = Readonly<Record<string, SQLOutputValue>>;

/**
 * Reads a whole ledger that nobody writes to, row by row: what is held in memory grows with the owners, never with jobs or
 * audit records. Throws as opening a ledger does where it is none; damage inside is a fault of the answer.
 */
export function checkLedger(path: string, onProgress: (progress: CheckProgress) => void): LedgerCheck {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    identify(database);
    return new Checking(database, onProgress).run();
  } catch (caught) {
    throw ledgerError(caught, path);
  } finally {
    database?.close();
  }
}

interface Meta {
  readonly nextAudit: number;
  readonly counts: Readonly<Record<string, number>>;
}

class Checking {
  readonly #database: DatabaseSync;
  readonly #onProgress: (progress: CheckProgress) => void;
  readonly #faults = new Set<string>();
  readonly #live = new Map<string, number>();
  readonly #places = new Map<string, number>();
  readonly #agent: StatementSync;
  readonly #job: StatementSync;
  readonly #version: number;
  #faultCount = 0;
  #doneRows = 0;
  readonly #totalRows: number;

  constructor(database: DatabaseSync, onProgress: (progress: CheckProgress) => void) {
    this.#database = database;
    this.#onProgress = onProgress;
    this.#version = schemaVersion(database);
    this.#agent = database.prepare('SELECT row FROM agent WHERE id = ?');
    this.#job = database.prepare('SELECT row FROM job WHERE id = ?');
    this.#totalRows = ['job', 'agent', 'owner', 'audit'].reduce((sum, table) => sum + this.#size(table), 0);
  }

  run(): LedgerCheck {
    for (const row of this.#database.prepare('PRAGMA integrity_check(20)').iterate())
      if (row['integrity_check'] !== 'ok') this.#fault(`the file: ${String(row['integrity_check'])}`);
    // Commits by job, in a table of SQLite's own that it keeps on the disk where it grows.
    this.#database.exec(
      'PRAGMA temp_store = FILE; CREATE TEMP TABLE committed (job TEXT PRIMARY KEY, attempt INTEGER, times INTEGER) WITHOUT ROWID;',
    );
    const auditRecords = this.#audit();
    const jobs = this.#each('SELECT seq, id, state, deadline, duty, row FROM job ORDER BY seq', (row) =>
      this.#oneJob(row),
    );
    const agents = this.#each('SELECT id, row FROM agent ORDER BY id', (row) => this.#oneAgent(row));
    const owners = this.#each('SELECT id, row FROM owner ORDER BY id', (row) => this.#oneOwner(row));
    this.#counts();
    return {
      version: this.#version,
      jobs,
      agents,
      owners,
      auditRecords,
      faults: [...this.#faults],
      faultCount: this.#faultCount,
    };
  }

  #size(table: string): number {
    return Number(this.#database.prepare(`SELECT count(*) AS size FROM ${table}`).get()?.['size'] ?? 0);
  }

  #each(query: string, look: (row: Row) => void): number {
    let seen = 0;
    for (const row of this.#database.prepare(query).iterate()) {
      look(row);
      seen += 1;
      this.#doneRows += 1;
      if (this.#doneRows % ROWS_A_NOTICE === 0) this.#tell();
    }
    this.#tell();
    return seen;
  }

  #tell(): void {
    this.#onProgress({ doneRows: this.#doneRows, totalRows: this.#totalRows });
  }

  #fault(text: string): void {
    if (this.#faults.has(text)) return;
    this.#faultCount += 1;
    if (this.#faults.size < MAX_FAULTS) this.#faults.add(text);
  }

  #oneJob(row: Row): void {
    const id = String(row['id']);
    const job = this.#parsed(row, `job ${id}`) as JobRow | undefined;
    if (job === undefined) return;
    if (job.id !== id) this.#fault(`job ${id}: its row is that of ${job.id}`);
    if (job.state !== row['state'])
      this.#fault(`job ${id}: the column says ${String(row['state'])}, its row ${job.state}`);
    if (liveDeadline(job) !== row['deadline']) this.#fault(`job ${id}: the column for its deadline is wrong`);
    if (matches(job, 'duties') !== (row['duty'] === 1))
      this.#fault(`job ${id}: the column for duties is wrong`);
    const text = this.#database.prepare('SELECT 1 FROM description WHERE seq = ?').get(row['seq'] ?? null);
    if (text === undefined) this.#fault(`job ${id}: it has no description`);
    for (const fault of invariants({ jobs: [job], agents: this.#holders(job), owners: [] }))
      this.#fault(fault);
    for (const attempt of job.attempts)
      if (attempt.state === 'live') this.#live.set(attempt.owner, (this.#live.get(attempt.owner) ?? 0) + 1);
    this.#commit(job);
  }

  /** Those who hold an attempt of the job, with nothing else that they hold. */
  #holders(job: JobRow): readonly AgentRow[] {
    const names = new Set(job.attempts.filter(({ state }) => state !== 'void').map(({ agent }) => agent));
    return [...names].flatMap((name) => {
      const row = this.#agent.get(name);
      const agent = row && (this.#parsed(row, `agent ${name}`) as AgentRow | undefined);
      return agent === undefined
        ? []
        : [{ ...agent, held: agent.held.filter((held) => held.job === job.id) }];
    });
  }

  /** The audit log is written by other code than the rows: both must name the same attempt, once. */
  #commit(job: JobRow): void {
    const wanted = job.attempts.find(({ state }) => state === 'committed')?.number;
    const logged = this.#database.prepare('SELECT attempt, times FROM committed WHERE job = ?').get(job.id);
    if (wanted === undefined && logged === undefined) return;
    if (logged === undefined)
      this.#fault(`job ${job.id}: the audit log has no commit of attempt ${String(wanted)}`);
    else if (logged['times'] !== 1 || logged['attempt'] !== wanted)
      this.#fault(
        `I3 job ${job.id}: attempt ${String(wanted)} is committed, the audit log says ${String(logged['attempt'])}, ${String(logged['times'])} times`,
      );
  }

  #oneAgent(row: Row): void {
    const id = String(row['id']);
    const agent = this.#parsed(row, `agent ${id}`) as AgentRow | undefined;
    if (agent === undefined) return;
    if (agent.place) this.#places.set(agent.owner, (this.#places.get(agent.owner) ?? 0) + 1);
    if (agent.id !== id) this.#fault(`agent ${id}: its row is that of ${agent.id}`);
    const jobs = [...new Set(agent.held.map(({ job }) => job))].flatMap((name) => {
      const found = this.#job.get(name);
      return (found && (this.#parsed(found, `job ${name}`) as JobRow | undefined)) ?? [];
    });
    const others = (job: JobRow): JobRow => ({
      ...job,
      attempts: job.attempts.filter(({ agent: holder, state }) => holder === id || state === 'void'),
    });
    for (const fault of invariants({ jobs: jobs.map(others), agents: [agent], owners: [] }))
      if (fault.startsWith('I2') || fault.includes(`(agent ${id})`)) this.#fault(fault);
  }

  #oneOwner(row: Row): void {
    const id = String(row['id']);
    const owner = this.#parsed(row, `owner ${id}`) as OwnerRow | undefined;
    const live = this.#live.get(id) ?? 0;
    if (owner !== undefined && owner.live !== live)
      this.#fault(`I9 owner ${id} counts ${owner.live} live attempts, has ${live}`);
    const places = this.#places.get(id) ?? 0;
    if (owner !== undefined && this.#version >= COUNTS_AGENTS && owner.agents !== places)
      this.#fault(`I9 owner ${id} counts ${owner.agents} agents, has ${places}`);
  }

  /** Records are numbered without a gap, each of them JSON. */
  #audit(): number {
    const put = this.#database.prepare(
      'INSERT INTO committed VALUES (?, ?, 1) ON CONFLICT (job) DO UPDATE SET times = times + 1, attempt = excluded.attempt',
    );
    let expected: number | undefined;
    let records = 0;
    this.#each('SELECT first, count, lines FROM audit ORDER BY first', (row) => {
      const first = Number(row['first']);
      const lines = String(row['lines']).split('\n');
      if (expected !== undefined && first !== expected)
        this.#fault(`the audit log goes on with record ${first}, not ${expected}`);
      if (lines.length !== row['count']) this.#fault(`the audit log counts its records wrongly at ${first}`);
      for (const line of lines) {
        const record = this.#parsed({ row: line }, `audit record ${first} and on`) as
          | { readonly kind: string; readonly job: string; readonly attempt: number }
          | undefined;
        if (record?.kind === 'commit') put.run(record.job, record.attempt);
      }
      expected = first + Number(row['count']);
      records += lines.length;
    });
    const next = this.#meta()?.nextAudit;
    if (next !== undefined && expected !== undefined && next !== expected)
      this.#fault(`the audit log ends before record ${expected}, the next is said to be ${next}`);
    return records;
  }

  #counts(): void {
    const said = this.#meta()?.counts ?? {};
    const rows = this.#database.prepare('SELECT state, count(*) AS jobs FROM job GROUP BY state').all();
    const real = new Map(rows.map(({ state, jobs }) => [String(state), Number(jobs)]));
    for (const state of new Set([...real.keys(), ...Object.keys(said)]))
      if ((said[state] ?? 0) !== (real.get(state) ?? 0))
        this.#fault(`${real.get(state) ?? 0} jobs are ${state}, the ledger counts ${said[state] ?? 0}`);
  }

  #meta(): Meta | undefined {
    const row = this.#database.prepare("SELECT value AS row FROM meta WHERE name = 'ledger'").get();
    return row && (this.#parsed(row, 'the counters of the ledger') as Meta | undefined);
  }

  /** Rows are written by this program alone; the caller names the type of each. */
  #parsed(row: Row, what: string): unknown {
    try {
      return JSON.parse(String(row['row']));
    } catch {
      this.#fault(`${what}: it is no JSON`);
      return undefined;
    }
  }
}
