import type { Command, Duty, Outcome } from '../core/command.ts';
import type { AgentRow, JobRow, JobState } from '../core/state.ts';

/**
 * The durable memory of the broker. Commands given at once, or while an earlier group is being synced, share one transaction:
 * rows are loaded in id order, decided upon (broker/core/decide.ts), written with their audit records, synced; then every promise resolves.
 */
export interface Ledger {
  /** Outcomes in the order of the commands, once they are durable. Rejects with `LEDGER_FULL`, `LEDGER_CORRUPT` or `LEDGER_UNAVAILABLE`; then nothing of the group happened. */
  apply(commands: readonly Command[]): Promise<readonly Outcome[]>;
  /** At most `limit` jobs that are due for `expire`, that is whose earliest live deadline has passed. */
  due(limit: number): Promise<readonly string[]>;
  /** Jobs by one condition in the order of their acceptance, from the one after job `after` (all, where there is no such job); at most `limit`. Reads only what an index serves. */
  list(query: JobQuery, after: string, limit: number): Promise<readonly StoredJob[]>;
  job(id: string): Promise<StoredJob | undefined>;
  agent(id: string): Promise<AgentRow | undefined>;
  /** How many jobs there are in each state, and agents by status; for people, not for the hot path. */
  count(): Promise<Readonly<Partial<Record<JobState, number>>>>;
  /** Syncs what is queued and closes; idempotent. */
  close(): Promise<void>;
}

export type JobQuery =
  | { readonly kind: 'queued' }
  | { readonly kind: 'live' }
  | { readonly kind: 'duties' }
  | { readonly kind: 'all' };

export interface StoredJob {
  readonly job: JobRow;
  readonly description: string;
  readonly duties: readonly Duty[];
}
