import type { AuditRecord } from './command.ts';
import type { Attempt, JobRow, JobState } from './state.ts';

const FINAL: ReadonlySet<JobState> = new Set(['told', 'refused-by-framework', 'failed', 'cancelled']);

/** True where nothing but acknowledgements and clean-up can happen to the job any more. */
export function isFinal(state: JobState): boolean {
  return FINAL.has(state);
}

/** A record about one attempt. */
export function attemptRecord(
  kind: AuditRecord['kind'],
  jobId: string,
  attempt: Attempt,
  detail: string,
): AuditRecord {
  return { kind, job: jobId, attempt: attempt.number, agent: attempt.agent, detail };
}

/** A record about an agent as a whole. */
export function agentRecord(
  kind: 'revocation' | 'quarantine' | 'drain',
  agent: string,
  detail: string,
): AuditRecord {
  return { kind, job: '', attempt: 0, agent, detail };
}

/** The record of a job's end, where `after` is the first row in that state. */
export function finalRecord(before: JobRow | undefined, after: JobRow): readonly AuditRecord[] {
  if (!isFinal(after.state) || before?.state === after.state) return [];
  const detail = after.reason === '' ? after.state : `${after.state}: ${after.reason}`;
  return [{ kind: 'final', job: after.id, attempt: after.lastAttempt, agent: '', detail }];
}

/**
 * One audit line, without its newline: JSON with the fields in this order for ever, since a Merkle tree will hash the bytes.
 * `atMs` is ledger time.
 */
export function encodeAudit(record: AuditRecord, atMs: number): string {
  const { kind, job, attempt, agent, detail } = record;
  return JSON.stringify({ atMs, kind, job, attempt, agent, detail });
}
