import type { Command } from './command.ts';
import { without } from './decision.ts';
import type { Decision, Rows } from './rows.ts';
import type { JobRow } from './state.ts';

type Accept = Extract<Command, { kind: 'accept' }>;

/** Takes a job over from its adapter; idempotent by id, whatever the second copy says, and long after the job ended. */
export function decideAccept(rows: Rows, command: Accept, nowMs: number): Decision {
  if (rows.job !== undefined) return without({ kind: 'known', job: rows.job });
  if (rows.tombstone !== undefined)
    return without({ kind: 'pruned', id: rows.tombstone.id, attempt: rows.tombstone.attempt });
  const { description, ...given } = command.job;
  const job: JobRow = {
    ...given,
    replicaGroup: null,
    state: 'queued',
    lastAttempt: 0,
    attempts: [],
    failures: 0,
    losses: 0,
    cancelRequested: false,
    told: false,
    events: 0,
    reason: '',
    createdMs: nowMs,
    finishedMs: null,
  };
  const rowsAfter = { jobs: [job], agent: null, owner: null, description };
  return { rows: rowsAfter, outcome: { kind: 'accepted', job }, audit: [] };
}
