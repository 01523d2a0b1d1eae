import { isFinal } from './audit.ts';
import { duties } from './duties.ts';
import type { AgentRow, JobRow } from './state.ts';

/** How long the ledger keeps what is over. Times are ledger time, which stands still while the broker is down. */
export interface LedgerRetention {
  /** An ended job goes this long after its end, */
  readonly jobMs: number;
  /** or earlier, oldest first, while there are more ended ones than this. */
  readonly jobs: number;
  /** How long the id of a job that went is still known; longer than any framework may hand it over again. */
  readonly tombstoneMs: number;
  /** An agent that was not heard of for so long has no identity that is alive or could be renewed. */
  readonly identityMs: number;
  /** An agent that holds nothing goes this long after it was last heard of. */
  readonly agentMs: number;
  /** Audit records kept: the newest. */
  readonly auditRecords: number;
}

/** What is left of a job that went: enough never to run it again. */
export interface Tombstone {
  readonly id: string;
  readonly atMs: number;
  /** The attempt whose result it has; 0 where it ended without. */
  readonly attempt: number;
}

/** Whether the job is over for everybody: ended, its framework told, nothing left to do for its files. */
export function isOver(job: JobRow): boolean {
  return isFinal(job.state) && job.told && duties(job).length === 0;
}

export function isOld(job: JobRow, retention: LedgerRetention, nowMs: number): boolean {
  return job.finishedMs !== null && job.finishedMs + retention.jobMs <= nowMs;
}

export function tombstoneOf(job: JobRow, nowMs: number): Tombstone {
  const committed = job.attempts.find((attempt) => attempt.state === 'committed');
  return { id: job.id, atMs: nowMs, attempt: committed?.number ?? 0 };
}

/** Whether its place is free. That of one in quarantine is not, else its key could be copied to make room for others. */
export function isLapsed(
  agent: AgentRow,
  seenMs: number,
  retention: LedgerRetention,
  nowMs: number,
): boolean {
  const isServed = agent.status === 'active' || agent.status === 'draining';
  return agent.place && isServed && seenMs + placeMs(retention) <= nowMs;
}

function placeMs({ identityMs, agentMs }: LedgerRetention): number {
  return Math.min(identityMs, agentMs);
}

/**
 * Agents that were revoked or quarantined stay: their rows are what keeps them out. One that left its place was last heard of
 * that much earlier.
 */
export function isForgotten(
  agent: AgentRow,
  seenMs: number,
  retention: LedgerRetention,
  nowMs: number,
): boolean {
  const isIdle = agent.status === 'active' && !agent.place && agent.held.length === 0;
  return isIdle && seenMs + retention.agentMs - placeMs(retention) <= nowMs;
}
