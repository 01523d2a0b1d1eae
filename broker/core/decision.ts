import { finalRecord } from './audit.ts';
import type { AuditRecord, Outcome, Refusal } from './command.ts';
import type { Decision, Rows } from './rows.ts';
import type { AgentRow, JobRow, OwnerRow } from './state.ts';

const NOTHING = { jobs: [], agent: null, owner: null, description: null } as const;

/** A decision that changes nothing. */
export function without(outcome: Outcome): Decision {
  return { rows: NOTHING, outcome, audit: [] };
}

export const UNCHANGED: Decision = without({ kind: 'unchanged' });

export function refuse(code: Refusal, retryAfterMs = 0): Decision {
  return without({ kind: 'refused', code, retryAfterMs });
}

/** Rows as the command leaves them; those that are the very rows loaded count as unchanged. */
interface After {
  readonly job?: JobRow | undefined;
  readonly agent?: AgentRow | undefined;
  readonly owner?: OwnerRow | undefined;
}

/** A decision over at most one job; a job that ended gets its audit record here, so that no path forgets it. */
export function decision(
  before: Rows,
  after: After,
  outcome: Outcome,
  audit: readonly AuditRecord[],
): Decision {
  const job = after.job === before.job ? undefined : after.job;
  return {
    rows: {
      jobs: job === undefined ? [] : [job],
      agent: after.agent === before.agent ? null : (after.agent ?? null),
      owner: after.owner === before.owner ? null : (after.owner ?? null),
      description: null,
    },
    outcome,
    audit: job === undefined ? audit : [...audit, ...finalRecord(before.job, job)],
  };
}
