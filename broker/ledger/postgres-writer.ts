import type { JobState } from '../core/state.ts';
import type { Session } from './postgres-connection.ts';
import { PostgresFault } from './postgres-errors.ts';
import { CLOCK } from './postgres-schema.ts';

/** Who writes: a broker by the name of its instance. The term rises with each opening, so that two can never write as one. */
export interface Writer {
  readonly id: number;
  readonly term: number;
  readonly schema: string;
}

export type Counts = Readonly<Partial<Record<JobState, number>>>;

export const WRITER_STATEMENTS = {
  beginTerm: `INSERT INTO writer (name, term, groups, clock, seen, next_audit, counts) VALUES ($1, 1, 0, 0, NULL, 1, '{}')
    ON CONFLICT (name) DO UPDATE SET term = writer.term + 1 RETURNING id, term`,
  alive: 'UPDATE writer SET seen = $3 WHERE id = $1 AND term = $2 RETURNING id',
  touch: 'UPDATE writer SET groups = groups WHERE id = $1 AND term = $2',
  away: 'UPDATE writer SET seen = NULL WHERE id = $1 AND term = $2',
  groups: 'SELECT groups FROM writer WHERE id = $1 AND term = $2 FOR UPDATE',
  others: 'SELECT id FROM writer WHERE id <> $1 AND seen > $2',
  counts: 'SELECT counts FROM writer',
  now: `SELECT ${CLOCK} AS now`,
} as const;

/** The name a broker holds as long as its ledger is open. */
export function writerKey(schema: string, instance: string): string {
  return `writer ${schema} ${instance}`;
}

/** Begins a term of the instance: what an earlier one of that name still has under way is refused from now on. */
export async function beginTerm(session: Session, schema: string, instance: string): Promise<Writer> {
  const [found] = await session.run(WRITER_STATEMENTS.beginTerm, [instance]);
  return { id: Number(found?.['id']), term: Number(found?.['term']), schema };
}

/** The fault of an earlier term. */
export function takenOver(): PostgresFault {
  return new PostgresFault('LEDGER_IN_USE', 'it was opened again under this name');
}

/**
 * Whether a group of this number was committed before the connection went. Waits for the server to be done with it, and then for a
 * commit of its own: what came before is then as durable as that.
 */
export async function wasCommitted(session: Session, { id, term }: Writer, group: number): Promise<boolean> {
  await session.run('BEGIN');
  const [found] = await session.run(WRITER_STATEMENTS.groups, [id, term]);
  await session.run(WRITER_STATEMENTS.touch, [id, term]);
  await session.run('COMMIT');
  return Number(found?.['groups']) === group;
}

/** Sum of what each broker counts; one alone may have less than none, where another began what it ended. */
export function sumCounts(all: readonly Counts[]): Counts {
  const sum: Partial<Record<JobState, number>> = {};
  for (const counts of all)
    for (const [state, count] of Object.entries(counts) as [JobState, number][])
      sum[state] = (sum[state] ?? 0) + count;
  return sum;
}
