import { accountsOfGone, MAX_ACCOUNTS } from '../core/account.ts';
import { isFinal } from '../core/audit.ts';
import { isForgotten, isLapsed, isOld, isOver, type LedgerRetention, tombstoneOf } from '../core/prune.ts';
import type { AgentRow, JobRow, JobState } from '../core/state.ts';
import { ACCOUNT_COLUMNS, accountValues, ADD_TO_ACCOUNT } from './account-row.ts';
import type { Pruned } from './keeping.ts';
import type { Row, Session } from './postgres-connection.ts';
import { parseRow } from './postgres-rows.ts';
import { type Counts, sumCounts, takenOver, type Writer } from './postgres-writer.ts';

/** Every statement of pruning; each walks a key from where the last call stopped. What another broker changes meanwhile stays. */
export const PRUNING_STATEMENTS = {
  jobs: 'SELECT seq, row FROM job WHERE seq > $1 ORDER BY seq LIMIT $2',
  deleteJobs: `WITH gone AS (
      DELETE FROM job USING unnest($1::bigint[], $2::text[]) AS given (seq, row)
      WHERE job.seq = given.seq AND job.row = given.row RETURNING job.seq
    ), texts AS (DELETE FROM description USING gone WHERE description.seq = gone.seq)
    SELECT seq FROM gone`,
  putTombstones: `INSERT INTO tombstone (at, id, attempt) SELECT $1::bigint, * FROM unnest($2::text[], $3::integer[])
    ON CONFLICT (id) DO UPDATE SET at = excluded.at`,
  tombstones: 'SELECT id, at FROM tombstone WHERE id > $1 ORDER BY id LIMIT $2',
  deleteTombstones: 'DELETE FROM tombstone WHERE id = ANY($1::text[])',
  agents: 'SELECT id, seen, row FROM agent WHERE id > $1 ORDER BY id LIMIT $2',
  deleteAgents: `DELETE FROM agent USING unnest($1::text[], $2::bigint[], $3::text[]) AS given (id, seen, row)
    WHERE agent.id = given.id AND agent.seen = given.seen AND agent.row = given.row RETURNING agent.id`,
  deleteAudit: `DELETE FROM audit USING (
      SELECT old.writer, old.first FROM writer CROSS JOIN LATERAL (
        SELECT writer, first FROM audit
        WHERE audit.writer = writer.id AND first < next_audit - $1 AND first + count <= next_audit - $1 ORDER BY first LIMIT $2
      ) AS old LIMIT $2
    ) AS gone
    WHERE audit.writer = gone.writer AND audit.first = gone.first RETURNING count`,
  countAccounts: 'SELECT count(*) AS accounts FROM account',
  putAccounts: `INSERT INTO account (${ACCOUNT_COLUMNS.join(', ')})
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[],
      $5::double precision[], $6::double precision[], $7::double precision[], $8::double precision[])
    ON CONFLICT (key) DO UPDATE SET ${ADD_TO_ACCOUNT}`,
  lockWriter: 'SELECT counts FROM writer WHERE id = $1 AND term = $2 FOR UPDATE',
  putCounts: 'UPDATE writer SET counts = $2 WHERE id = $1',
} as const;

/** The ledger as pruning looks at it. */
export interface PostgresPruningStep {
  readonly writer: Writer;
  readonly retention: LedgerRetention;
  readonly nowMs: number;
  readonly limit: number;
  /** Of all writers. */
  readonly counts: Counts;
}

const BEGINNING = { seq: 0, agent: '', tombstone: '' };

/** Walks the tables in bounded steps, each one transaction. */
export class PostgresPruning {
  #places = BEGINNING;

  /** Rejects where nothing was removed; the next step then begins at the front. */
  async step(session: Session, step: PostgresPruningStep): Promise<Pruned> {
    try {
      await session.run('BEGIN');
      const { jobs, more } = await this.#jobs(session, step);
      const { agents, lapsed } = await this.#agents(session, step);
      const tombstones = await this.#tombstones(session, step);
      const auditRecords = await pruneAudit(session, step);
      await session.run('COMMIT');
      return { jobs, agents, tombstones, auditRecords, lapsed, more };
    } catch (caught) {
      this.#places = BEGINNING;
      await session.run('ROLLBACK').catch(() => undefined); // where the connection is gone the server does it
      throw caught;
    }
  }

  async #jobs(session: Session, step: PostgresPruningStep): Promise<{ jobs: number; more: boolean }> {
    const { retention, nowMs, limit, counts } = step;
    const page = await session.run(PRUNING_STATEMENTS.jobs, [this.#places.seq, limit]);
    let excess = endedIn(counts) - retention.jobs;
    const old: OldJob[] = [];
    let isNew = false;
    for (const { seq, row } of page) {
      const job = parseRow(row) as JobRow;
      // Accepted in order: what comes behind cannot have ended long ago.
      isNew = excess <= 0 && job.createdMs + retention.jobMs > nowMs;
      if (isNew) break;
      this.#places = { ...this.#places, seq: Number(seq) };
      if (!isOver(job) || (excess <= 0 && !isOld(job, retention, nowMs))) continue;
      old.push({ seq: Number(seq), text: String(row), job });
      excess -= 1;
    }
    const more = !isNew && page.length === limit;
    if (!more) this.#places = { ...this.#places, seq: 0 };
    return { jobs: await bury(session, step, old), more };
  }

  async #agents(
    session: Session,
    { retention, nowMs, limit }: PostgresPruningStep,
  ): Promise<{ readonly agents: number; readonly lapsed: readonly string[] }> {
    const page = await session.run(PRUNING_STATEMENTS.agents, [this.#places.agent, limit]);
    this.#places = { ...this.#places, agent: page.length < limit ? '' : String(page.at(-1)?.['id']) };
    const those = (judge: typeof isForgotten): readonly Row[] =>
      page.filter(({ seen, row }) => judge(parseRow(row) as AgentRow, Number(seen), retention, nowMs));
    const lapsed = those(isLapsed).map(({ id }) => String(id));
    const old = those(isForgotten);
    if (old.length === 0) return { agents: 0, lapsed };
    const values = [old.map(({ id }) => id), old.map(({ seen }) => seen), old.map(({ row }) => row)];
    return { agents: (await session.run(PRUNING_STATEMENTS.deleteAgents, values)).length, lapsed };
  }

  async #tombstones(session: Session, { retention, nowMs, limit }: PostgresPruningStep): Promise<number> {
    const page = await session.run(PRUNING_STATEMENTS.tombstones, [this.#places.tombstone, limit]);
    this.#places = { ...this.#places, tombstone: page.length < limit ? '' : String(page.at(-1)?.['id']) };
    const old = page.filter(({ at }) => Number(at) + retention.tombstoneMs <= nowMs).map(({ id }) => id);
    if (old.length > 0) await session.run(PRUNING_STATEMENTS.deleteTombstones, [old]);
    return old.length;
  }
}

interface OldJob {
  readonly seq: number;
  readonly text: string;
  readonly job: JobRow;
}

/** Removes what nobody changed or removed meanwhile, and counts that. */
async function bury(
  session: Session,
  { writer, nowMs }: PostgresPruningStep,
  old: readonly OldJob[],
): Promise<number> {
  if (old.length === 0) return 0;
  const found = await session.run(PRUNING_STATEMENTS.deleteJobs, [
    old.map(({ seq }) => seq),
    old.map(({ text }) => text),
  ]);
  const seqs = new Set(found.map(({ seq }) => Number(seq)));
  const gone = old.filter(({ seq }) => seqs.has(seq)).map(({ job }) => job);
  const tombstones = gone.map((job) => tombstoneOf(job, nowMs));
  await session.run(PRUNING_STATEMENTS.putTombstones, [
    nowMs,
    tombstones.map(({ id }) => id),
    tombstones.map(({ attempt }) => attempt),
  ]);
  await keepAccounts(session, gone);
  const [self] = await session.run(PRUNING_STATEMENTS.lockWriter, [writer.id, writer.term]);
  if (self === undefined) throw takenOver();
  const counts = sumCounts([parseRow(self['counts']) as Counts, lessOf(gone)]);
  await session.run(PRUNING_STATEMENTS.putCounts, [writer.id, JSON.stringify(counts)]);
  return gone.length;
}

/** In the order of keys, so that two brokers never wait for each other. */
async function keepAccounts(session: Session, gone: readonly JobRow[]): Promise<void> {
  const [found] = await session.run(PRUNING_STATEMENTS.countAccounts);
  const rows = accountsOfGone(gone, Number(found?.['accounts']) >= MAX_ACCOUNTS).map(accountValues);
  if (rows.length === 0) return;
  await session.run(
    PRUNING_STATEMENTS.putAccounts,
    ACCOUNT_COLUMNS.map((_column, at) => rows.map((row) => row[at])),
  );
}

function lessOf(jobs: readonly JobRow[]): Counts {
  return sumCounts(jobs.map(({ state }) => ({ [state]: -1 })));
}

/** Each writer keeps the newest records of its own log. */
async function pruneAudit(session: Session, { retention, limit }: PostgresPruningStep): Promise<number> {
  const gone = await session.run(PRUNING_STATEMENTS.deleteAudit, [retention.auditRecords, limit]);
  return gone.reduce((sum, { count }) => sum + Number(count), 0);
}

function endedIn(counts: Counts): number {
  const states = Object.entries(counts) as [JobState, number][];
  return states.reduce((sum, [state, count]) => sum + (isFinal(state) ? count : 0), 0);
}
