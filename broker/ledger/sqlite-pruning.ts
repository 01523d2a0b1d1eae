import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { accountsOfGone, MAX_ACCOUNTS } from '../core/account.ts';
import { isFinal } from '../core/audit.ts';
import { isForgotten, isLapsed, isOld, isOver, type LedgerRetention, tombstoneOf } from '../core/prune.ts';
import type { AgentRow, JobRow, JobState } from '../core/state.ts';
import { ACCOUNT_COLUMNS, accountValues, ADD_TO_ACCOUNT } from './account-row.ts';
import type { Pruned } from './keeping.ts';

/** Every statement of pruning; each walks a key from where the last call stopped. */
export const PRUNING_STATEMENTS = {
  jobs: 'SELECT seq, row FROM job WHERE seq > ? ORDER BY seq LIMIT ?',
  deleteJob: 'DELETE FROM job WHERE seq = ?',
  deleteDescription: 'DELETE FROM description WHERE seq = ?',
  putTombstone:
    'INSERT INTO tombstone (id, at, attempt) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at',
  tombstones: 'SELECT id, at FROM tombstone WHERE id > ? ORDER BY id LIMIT ?',
  deleteTombstone: 'DELETE FROM tombstone WHERE id = ?',
  agents: 'SELECT id, seen, row FROM agent WHERE id > ? ORDER BY id LIMIT ?',
  deleteAgent: 'DELETE FROM agent WHERE id = ?',
  audits: 'SELECT first, count FROM audit WHERE first + count <= ? AND first < ? ORDER BY first LIMIT ?',
  deleteAudit: 'DELETE FROM audit WHERE first = ?',
  countAccounts: 'SELECT count(*) AS accounts FROM account',
  putAccount: `INSERT INTO account (${ACCOUNT_COLUMNS.join(', ')}) VALUES (${ACCOUNT_COLUMNS.map(() => '?').join(', ')})
    ON CONFLICT (key) DO UPDATE SET ${ADD_TO_ACCOUNT}`,
} as const;

/** The ledger as pruning looks at it. */
export interface Pruning {
  readonly retention: LedgerRetention;
  readonly nowMs: number;
  readonly limit: number;
  readonly counts: Readonly<Partial<Record<JobState, number>>>;
  /** Number of the next audit record. */
  readonly nextAudit: number;
}

/** What one call removed: numbers for whoever asked, rows for the caches and counts. */
export interface Removed {
  readonly pruned: Pruned;
  readonly jobs: readonly JobRow[];
  readonly agents: readonly string[];
}

/** Walks the tables in bounded steps. Call it inside a transaction, and `forget` where that fails. */
export class SqlitePruning {
  readonly #statements: Readonly<Record<keyof typeof PRUNING_STATEMENTS, StatementSync>>;
  #places = { seq: 0, agent: '', tombstone: '' };

  constructor(database: DatabaseSync) {
    const prepare = (name: keyof typeof PRUNING_STATEMENTS): StatementSync =>
      database.prepare(PRUNING_STATEMENTS[name]);
    this.#statements = {
      jobs: prepare('jobs'),
      deleteJob: prepare('deleteJob'),
      deleteDescription: prepare('deleteDescription'),
      putTombstone: prepare('putTombstone'),
      tombstones: prepare('tombstones'),
      deleteTombstone: prepare('deleteTombstone'),
      agents: prepare('agents'),
      deleteAgent: prepare('deleteAgent'),
      audits: prepare('audits'),
      deleteAudit: prepare('deleteAudit'),
      countAccounts: prepare('countAccounts'),
      putAccount: prepare('putAccount'),
    };
  }

  step(pruning: Pruning): Removed {
    const { jobs, more } = this.#jobs(pruning);
    this.#account(jobs);
    const { gone: agents, lapsed } = this.#agents(pruning);
    const tombstones = this.#tombstones(pruning);
    const auditRecords = this.#audit(pruning);
    const pruned = { jobs: jobs.length, agents: agents.length, tombstones, auditRecords, lapsed, more };
    return { pruned, jobs, agents };
  }

  /** Nothing of the last step happened: begin at the front again. */
  forget(): void {
    this.#places = { seq: 0, agent: '', tombstone: '' };
  }

  #jobs({ retention, nowMs, limit, counts }: Pruning): { jobs: readonly JobRow[]; more: boolean } {
    let excess = endedIn(counts) - retention.jobs;
    const page = this.#statements.jobs.all(this.#places.seq, limit);
    const removed: JobRow[] = [];
    let isNew = false;
    for (const { seq, row } of page) {
      const job = JSON.parse(String(row)) as JobRow; // written by the store alone, checked when it was opened
      // Accepted in order: what comes behind cannot have ended long ago.
      isNew = excess <= 0 && job.createdMs + retention.jobMs > nowMs;
      if (isNew) break;
      this.#places.seq = Number(seq);
      if (!isOver(job) || (excess <= 0 && !isOld(job, retention, nowMs))) continue;
      this.#bury(Number(seq), job, nowMs);
      removed.push(job);
      excess -= 1;
    }
    const more = !isNew && page.length === limit;
    if (!more) this.#places.seq = 0;
    return { jobs: removed, more };
  }

  #bury(seq: number, job: JobRow, nowMs: number): void {
    const { id, atMs, attempt } = tombstoneOf(job, nowMs);
    this.#statements.putTombstone.run(id, atMs, attempt);
    this.#statements.deleteJob.run(seq);
    this.#statements.deleteDescription.run(seq);
  }

  #account(jobs: readonly JobRow[]): void {
    if (jobs.length === 0) return;
    const isFull = Number(this.#statements.countAccounts.get()?.['accounts']) >= MAX_ACCOUNTS;
    for (const account of accountsOfGone(jobs, isFull))
      this.#statements.putAccount.run(...accountValues(account));
  }

  #agents({ retention, nowMs, limit }: Pruning): {
    readonly gone: readonly string[];
    readonly lapsed: readonly string[];
  } {
    const page = this.#statements.agents.all(this.#places.agent, limit);
    const those = (judge: typeof isForgotten): readonly string[] =>
      page
        .filter(({ seen, row }) => judge(JSON.parse(String(row)) as AgentRow, Number(seen), retention, nowMs))
        .map(({ id }) => String(id));
    const gone = those(isForgotten);
    const lapsed = those(isLapsed);
    for (const id of gone) this.#statements.deleteAgent.run(id);
    this.#places.agent = page.length < limit ? '' : String(page.at(-1)?.id ?? '');
    return { gone, lapsed };
  }

  #tombstones({ retention, nowMs, limit }: Pruning): number {
    const page = this.#statements.tombstones.all(this.#places.tombstone, limit);
    const gone = page.filter(({ at }) => Number(at) + retention.tombstoneMs <= nowMs);
    for (const { id } of gone) this.#statements.deleteTombstone.run(String(id));
    this.#places.tombstone = page.length < limit ? '' : String(page.at(-1)?.id ?? '');
    return gone.length;
  }

  #audit({ retention, limit, nextAudit }: Pruning): number {
    const end = nextAudit - retention.auditRecords;
    const page = this.#statements.audits.all(end, end, limit);
    for (const { first } of page) this.#statements.deleteAudit.run(Number(first));
    return page.reduce((sum, { count }) => sum + Number(count), 0);
  }
}

function endedIn(counts: Readonly<Partial<Record<JobState, number>>>): number {
  const states = Object.entries(counts) as [JobState, number][];
  return states.reduce((sum, [state, count]) => sum + (isFinal(state) ? count : 0), 0);
}
