import { DatabaseSync } from 'node:sqlite';
import type { JobRow } from '../broker/core/state.ts';

/** What the ledger's file says of a campaign's jobs. */
export interface LedgerProof {
  readonly jobs: number;
  /** Jobs with exactly one committed attempt and exactly one commit in the audit log. */
  readonly committedOnce: number;
  readonly attempts: number;
  readonly lost: number;
  /** What is wrong, job by job; empty is proved. */
  readonly faults: readonly string[];
}

interface AuditLine {
  readonly kind: string;
  readonly job: string;
  readonly attempt: number;
}

/**
 * Reads the ledger's file, with the broker stopped, and counts: the rows and the audit log are written by different code, and
 * both must say that every job committed once, with the same attempt.
 */
export function proveFromLedger(path: string, jobs: readonly string[]): LedgerProof {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const commits = auditedCommits(database);
    const row = database.prepare('SELECT row FROM job WHERE id = ?');
    const rows = jobs.map((id): JobRow | undefined => {
      const found = row.get(id)?.['row'];
      return typeof found === 'string' ? (JSON.parse(found) as JobRow) : undefined;
    });
    const faults = jobs.flatMap((id, index) => faultsOf(id, rows[index], commits.get(id) ?? []));
    const known = rows.filter((entry) => entry !== undefined);
    return {
      jobs: jobs.length,
      committedOnce: jobs.length - new Set(faults.map((fault) => fault.split(' ')[0])).size,
      attempts: known.reduce((sum, job) => sum + job.lastAttempt, 0),
      lost: known.reduce((sum, job) => sum + job.losses, 0),
      faults,
    };
  } finally {
    database.close();
  }
}

function auditedCommits(database: DatabaseSync): ReadonlyMap<string, readonly number[]> {
  const commits = new Map<string, number[]>();
  for (const block of database.prepare('SELECT lines FROM audit ORDER BY first').iterate()) {
    for (const line of String(block['lines']).split('\n')) {
      if (line === '') continue;
      const record = JSON.parse(line) as AuditLine;
      if (record.kind === 'commit')
        commits.set(record.job, [...(commits.get(record.job) ?? []), record.attempt]);
    }
  }
  return commits;
}

function faultsOf(id: string, job: JobRow | undefined, audited: readonly number[]): readonly string[] {
  if (job === undefined) return [`${id} is not in the ledger`];
  const committed = job.attempts
    .filter((attempt) => attempt.state === 'committed')
    .map((attempt) => attempt.number);
  if (committed.length !== 1) return [`${id} is ${job.state} with ${committed.length} committed attempts`];
  if (audited.length !== 1) return [`${id} was committed ${audited.length} times by the audit log`];
  return audited[0] === committed[0]
    ? []
    : [`${id} committed attempt ${committed[0]}, the audit log says ${audited[0]}`];
}
