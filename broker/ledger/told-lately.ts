import { DatabaseSync } from 'node:sqlite';
import { ledgerError } from './sqlite-errors.ts';

export interface ToldLately {
  /** Queues of the adapters that may have forgotten. */
  readonly queues: readonly string[];
  /** How long before this copy of the ledger was made their state is from. */
  readonly withinMs: number;
}

/** More than the copies of one backup are apart by the slowness of a machine. */
const MARGIN_MS = 60_000;

/**
 * Jobs whose adapter heard of their end after its own state was copied, and will have forgotten: committed ones by the audit log, which
 * has the moment at which the framework was told. Of those that failed or were cancelled nobody wrote down when it was told: all of them.
 */
export function toldLately(path: string, { queues, withinMs }: ToldLately): ReadonlySet<string> {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const told = toldSince(database, withinMs + MARGIN_MS);
    const ended = database.prepare(
      `SELECT id, state FROM job WHERE state IN ('told', 'failed', 'cancelled')
         AND json_extract(row, '$.queue') IN (SELECT value FROM json_each(?))`,
    );
    const found = new Set<string>();
    for (const row of ended.iterate(JSON.stringify(queues))) {
      const id = String(row['id']);
      if (row['state'] !== 'told' || told.has(id)) found.add(id);
    }
    return found;
  } catch (caught) {
    throw ledgerError(caught, path);
  } finally {
    database.close();
  }
}

interface AuditLine {
  readonly atMs: number;
  readonly kind: string;
  readonly job: string;
  readonly detail: string;
}

/** Reads the audit log from its end, as far as it is young enough. */
function toldSince(database: DatabaseSync, withinMs: number): ReadonlySet<string> {
  const meta = "SELECT json_extract(value, '$.clockMs') AS now FROM meta WHERE name = 'ledger'";
  const sinceMs = Number(database.prepare(meta).get()?.['now'] ?? 0) - withinMs;
  const told = new Set<string>();
  for (const block of database.prepare('SELECT lines FROM audit ORDER BY first DESC').iterate()) {
    const young = linesIn(String(block['lines'])).filter(({ atMs }) => atMs >= sinceMs);
    if (young.length === 0) break;
    for (const { kind, job, detail } of young) if (kind === 'final' && detail === 'told') told.add(job);
  }
  return told;
}

function linesIn(block: string): readonly AuditLine[] {
  const lines = block.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as AuditLine); // of our own writing, checked before it is put back
}
