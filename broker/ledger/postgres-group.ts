import type { Command, Outcome } from '../core/command.ts';
import type { AgentRow, JobRow, JobState, OwnerRow } from '../core/state.ts';
import { decideGroup, type GroupResult, isSignOfLife } from './group.ts';
import { CHANNEL, newsTexts } from './postgres-news.ts';
import type { Row, Session } from './postgres-connection.ts';
import { isRefusal } from './postgres-errors.ts';
import { createLockedRows, type LockedRows, parseRow } from './postgres-rows.ts';
import { CLOCK } from './postgres-schema.ts';
import { type Counts, takenOver, type Writer } from './postgres-writer.ts';
import { liveDeadline, matches } from './stored-job.ts';

export const GROUP_STATEMENTS = {
  writer: `SELECT ${CLOCK} AS now, clock, groups, next_audit, counts FROM writer WHERE id = $1 AND term = $2 FOR UPDATE`,
  write: `
    WITH self AS (
      UPDATE writer SET clock = $2, seen = $2, groups = $3, next_audit = $4, counts = $5 WHERE id = $1
    ), accepted AS (
      SELECT nextval(pg_get_serial_sequence('job', 'seq')) AS seq, *
      FROM unnest($6::text[], $7::text[], $8::bigint[], $9::boolean[], $10::text[], $11::text[])
        AS given (id, state, deadline, duty, row, text)
    ), new_job AS (
      INSERT INTO job (seq, id, writer, state, deadline, duty, row)
      SELECT seq, id, $1::integer, state, deadline, duty, row FROM accepted
    ), new_description AS (
      INSERT INTO description (seq, text) SELECT seq, text FROM accepted
    ), changed_job AS (
      UPDATE job SET writer = $1, state = given.state, deadline = given.deadline, duty = given.duty, row = given.row
      FROM unnest($12::text[], $13::text[], $14::bigint[], $15::boolean[], $16::text[])
        AS given (id, state, deadline, duty, row)
      WHERE job.id = given.id
    ), new_agent AS (
      INSERT INTO agent (seen, id, row) SELECT $2::bigint, * FROM unnest($17::text[], $18::text[])
    ), changed_agent AS (
      UPDATE agent SET seen = $2, row = given.row FROM unnest($19::text[], $20::text[]) AS given (id, row)
      WHERE agent.id = given.id
    ), new_owner AS (
      INSERT INTO owner (id, row) SELECT * FROM unnest($21::text[], $22::text[])
    ), changed_owner AS (
      UPDATE owner SET row = given.row FROM unnest($23::text[], $24::text[]) AS given (id, row)
      WHERE owner.id = given.id
    ), new_audit AS (
      INSERT INTO audit (writer, at, first, count, lines)
      SELECT $1::integer, $2::bigint, * FROM unnest($25::bigint[], $26::integer[], $27::text[])
    )
    SELECT pg_notify($28, text) FROM unnest($29::text[]) AS news (text)`,
} as const;

/** A group that is durable, or will be found to be or not to be: the connection went while it was being committed. */
export type GroupEnd =
  | { readonly kind: 'committed'; readonly outcomes: readonly Outcome[] }
  /** `group` is the number that the writer then has. */
  | {
      readonly kind: 'unknown';
      readonly outcomes: readonly Outcome[];
      readonly group: number;
      readonly cause: unknown;
    }
  /** The clock says that nothing may be decided yet; nothing was done. */
  | { readonly kind: 'too-late' };

export interface GroupPlan {
  readonly writer: Writer;
  readonly commands: readonly Command[];
  /** Ledger time, from what the database says; undefined where the group must not be decided now. */
  readonly timeOf: (databaseMs: number) => number | undefined;
}

/** Runs one group in one transaction. Rejects where nothing of it happened. */
export async function runGroup(session: Session, plan: GroupPlan): Promise<GroupEnd> {
  try {
    const [, decided] = await Promise.all([session.run('BEGIN'), decideLocked(session, plan)]);
    if (decided === undefined) {
      await session.run('ROLLBACK');
      return { kind: 'too-late' };
    }
    const { outcomes } = decided;
    if (changesNothing(decided)) {
      await session.run('ROLLBACK');
      return { kind: 'committed', outcomes };
    }
    return await commit(session, plan.writer, decided);
  } catch (caught) {
    await session.run('ROLLBACK').catch(() => undefined); // where the connection is gone the server does it
    throw caught;
  }
}

interface Decided {
  readonly result: GroupResult;
  /** As they were before. */
  readonly rows: LockedRows;
  readonly outcomes: readonly Outcome[];
  /** Agents that said hello or renewed their identity a day after they were heard of last, and changed nothing. */
  readonly touched: readonly AgentRow[];
  readonly nowMs: number;
  readonly meta: Meta;
}

interface Meta {
  readonly groups: number;
  readonly nextAudit: number;
  readonly counts: Counts;
}

/** How exactly it is known when an agent that only says hello was last heard of. */
const SEEN_MS = 86_400_000;

async function decideLocked(
  session: Session,
  { writer, commands, timeOf }: GroupPlan,
): Promise<Decided | undefined> {
  const rows = createLockedRows(session);
  await rows.load(commands);
  const [self] = await session.run(GROUP_STATEMENTS.writer, [writer.id, writer.term]);
  if (self === undefined) throw takenOver();
  const databaseMs = timeOf(Number(self['now']));
  if (databaseMs === undefined) return undefined;
  const nowMs = Math.max(databaseMs, Number(self['clock']));
  let result = decideGroup(commands, rows.lookup, nowMs);
  while (await rows.loadMissed()) result = decideGroup(commands, rows.lookup, nowMs);
  const { outcomes } = result;
  return { result, rows, outcomes, touched: touchedBy(result, rows, nowMs), nowMs, meta: metaOf(self) };
}

function touchedBy({ outcomes, agents }: GroupResult, rows: LockedRows, nowMs: number): readonly AgentRow[] {
  const heard = outcomes.flatMap((outcome) => (isSignOfLife(outcome) ? [outcome.agent] : []));
  const old = heard.filter(({ id }) => !agents.has(id) && (rows.seenMs(id) ?? nowMs) < nowMs - SEEN_MS);
  return [...new Map(old.map((agent) => [agent.id, agent])).values()];
}

async function commit(session: Session, writer: Writer, decided: Decided): Promise<GroupEnd> {
  const { outcomes, meta } = decided;
  const group = meta.groups + 1;
  const written = session.run(GROUP_STATEMENTS.write, valuesOf(writer, decided, group));
  const committed = session.run('COMMIT');
  const [write, end] = await Promise.allSettled([written, committed]);
  // A commit behind a failed statement does nothing, and says so by succeeding.
  if (write.status === 'rejected' && isRefusal(write.reason)) throw write.reason;
  if (end.status === 'fulfilled') return { kind: 'committed', outcomes };
  if (isRefusal(end.reason)) throw end.reason;
  return { kind: 'unknown', outcomes, group, cause: end.reason };
}

function valuesOf(writer: Writer, decided: Decided, group: number): readonly unknown[] {
  const { result, rows, touched, nowMs, meta } = decided;
  const jobs = [...result.jobs.values()];
  const fresh = jobs.filter(({ before }) => before === undefined).map(({ after }) => after);
  const changed = jobs.filter(({ before }) => before !== undefined).map(({ after }) => after);
  const { audit } = result;
  const agents = [...result.agents.values(), ...touched];
  const isNewAgent = (agent: AgentRow): boolean => rows.lookup.agent(agent.id) === undefined;
  const isNewOwner = (owner: OwnerRow): boolean => rows.lookup.owner(owner.id) === undefined;
  const owners = [...result.owners.values()];
  return [
    writer.id,
    nowMs,
    group,
    meta.nextAudit + audit.length,
    JSON.stringify(countsAfter(meta.counts, result)),
    ...jobColumns(fresh),
    fresh.map(({ id }) => JSON.stringify(result.descriptions.get(id) ?? '')),
    ...jobColumns(changed),
    ...idsAndRows(agents.filter(isNewAgent)),
    ...idsAndRows(agents.filter((agent) => !isNewAgent(agent))),
    ...idsAndRows(owners.filter(isNewOwner)),
    ...idsAndRows(owners.filter((owner) => !isNewOwner(owner))),
    audit.length === 0 ? [] : [meta.nextAudit],
    audit.length === 0 ? [] : [audit.length],
    audit.length === 0 ? [] : [audit.join('\n')],
    CHANNEL,
    newsTexts(writer, result, (id) => rows.lookup.agent(id)),
  ];
}

function jobColumns(jobs: readonly JobRow[]): readonly unknown[] {
  return [
    jobs.map(({ id }) => id),
    jobs.map(({ state }) => state),
    jobs.map(liveDeadline),
    jobs.map((job) => matches(job, 'duties')),
    jobs.map((job) => JSON.stringify(job)),
  ];
}

function idsAndRows(rows: readonly (AgentRow | OwnerRow)[]): readonly unknown[] {
  return [rows.map(({ id }) => id), rows.map((row) => JSON.stringify(row))];
}

function metaOf(self: Row): Meta {
  return {
    groups: Number(self['groups']),
    nextAudit: Number(self['next_audit']),
    counts: parseRow(self['counts']) as Counts,
  };
}

function countsAfter(counts: Counts, { jobs }: GroupResult): Counts {
  const after: Partial<Record<JobState, number>> = { ...counts };
  for (const { before, after: job } of jobs.values()) {
    if (before !== undefined) after[before.state] = (after[before.state] ?? 0) - 1;
    after[job.state] = (after[job.state] ?? 0) + 1;
  }
  return after;
}

function changesNothing({ result: { jobs, agents, owners, audit }, touched }: Decided): boolean {
  return jobs.size + agents.size + owners.size + audit.length + touched.length === 0;
}
