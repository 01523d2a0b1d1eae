import { encodeAudit } from '../core/audit.ts';
import type { Command, Outcome } from '../core/command.ts';
import { decide } from '../core/decide.ts';
import { gather, type Lookup } from '../core/rows.ts';
import type { AgentRow, JobRow, OwnerRow } from '../core/state.ts';

/** What one group of commands made of the rows: each changed row once, as it is at the end. */
export interface GroupResult {
  readonly outcomes: readonly Outcome[];
  readonly jobs: ReadonlyMap<string, ChangedJob>;
  readonly agents: ReadonlyMap<string, AgentRow>;
  readonly owners: ReadonlyMap<string, OwnerRow>;
  /** Descriptions of jobs accepted in this group, by id. */
  readonly descriptions: ReadonlyMap<string, string>;
  readonly audit: readonly string[];
}

export interface ChangedJob {
  readonly before: JobRow | undefined;
  readonly after: JobRow;
}

/**
 * Decides a group in order. Every row is loaded at most once and every decision sees the earlier ones of its group; nothing is
 * written: a caller that fails to write drops the result, and nothing of the group happened.
 */
export function decideGroup(commands: readonly Command[], stored: Lookup, nowMs: number): GroupResult {
  const jobs = overlay((id) => stored.job(id));
  const agents = overlay((id) => stored.agent(id));
  const owners = overlay((id) => stored.owner(id));
  const descriptions = new Map<string, string>();
  const lookup: Lookup = {
    job: jobs.get,
    agent: agents.get,
    owner: owners.get,
    description: (id) => descriptions.get(id) ?? stored.description(id),
    tombstone: (id) => stored.tombstone?.(id),
  };
  const audit: string[] = [];
  const outcomes = commands.map((command) => {
    const { rows, outcome, audit: records } = decide(gather(command, lookup), command, nowMs);
    for (const job of rows.jobs) {
      jobs.set(job.id, job);
      if (rows.description !== null) descriptions.set(job.id, rows.description);
    }
    if (rows.agent !== null) agents.set(rows.agent.id, rows.agent);
    if (rows.owner !== null) owners.set(rows.owner.id, rows.owner);
    for (const record of records) audit.push(encodeAudit(record, nowMs));
    return outcome;
  });
  return {
    outcomes,
    jobs: jobs.changes(),
    agents: rowsAfter(agents.changes()),
    owners: rowsAfter(owners.changes()),
    descriptions,
    audit,
  };
}

/** Whether it says that an agent was heard of, though nothing about it may have changed. */
export function isSignOfLife(
  outcome: Outcome,
): outcome is Extract<Outcome, { readonly kind: 'welcome' | 'noted' }> {
  return outcome.kind === 'welcome' || outcome.kind === 'noted';
}

interface Overlay<Row extends object> {
  readonly get: (id: string) => Row | undefined;
  readonly set: (id: string, row: Row) => void;
  readonly changes: () => ReadonlyMap<string, { readonly before: Row | undefined; readonly after: Row }>;
}

function overlay<Row extends object>(load: (id: string) => Row | undefined): Overlay<Row> {
  const loaded = new Map<string, Row | undefined>();
  const changed = new Map<string, Row>();
  const before = (id: string): Row | undefined => {
    if (!loaded.has(id)) loaded.set(id, load(id));
    return loaded.get(id);
  };
  return {
    get: (id) => changed.get(id) ?? before(id),
    set: (id, row) => changed.set(id, row),
    changes: () =>
      new Map(
        [...changed]
          .map(([id, after]) => [id, { before: before(id), after }] as const)
          .filter(([, { before: was, after }]) => !isSame(was, after)),
      ),
  };
}

/** Field by field: an owner who loses one attempt and gets another in one group is as before. */
function isSame<Row extends object>(before: Row | undefined, after: Row): boolean {
  if (before === undefined) return false;
  const others = new Map<string, unknown>(Object.entries(after));
  const entries = Object.entries(before);
  return entries.length === others.size && entries.every(([name, value]) => others.get(name) === value);
}

function rowsAfter<Row>(changes: ReadonlyMap<string, { readonly after: Row }>): ReadonlyMap<string, Row> {
  return new Map([...changes].map(([id, { after }]) => [id, after]));
}
