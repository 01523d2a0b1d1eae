import type { AuditRecord, Command, Outcome } from './command.ts';
import { liveAttempt } from './attempt.ts';
import type { Tombstone } from './prune.ts';
import type { AgentRow, JobRow, OwnerRow } from './state.ts';

/** What a decision reads. A row that does not exist is undefined. */
export interface Rows {
  readonly job?: JobRow | undefined;
  /** Who asks, or who holds the attempt that the command is about. */
  readonly agent?: AgentRow | undefined;
  readonly owner?: OwnerRow | undefined;
  /** The job's description; read for `lease` alone. */
  readonly description?: string | undefined;
  /** What is left of a job that went; read for `accept` alone, where there is no row. */
  readonly tombstone?: Tombstone | undefined;
  /** Jobs whose live attempts the agent holds; read for `hello` and `revoke` alone. */
  readonly held?: readonly JobRow[] | undefined;
}

/** Rows a decision changed, whole; null and absent mean as before. */
export interface Changes {
  readonly jobs: readonly JobRow[];
  readonly agent: AgentRow | null;
  readonly owner: OwnerRow | null;
  /** Description of a newly accepted job. */
  readonly description: string | null;
}

export interface Decision {
  readonly rows: Changes;
  readonly outcome: Outcome;
  readonly audit: readonly AuditRecord[];
}

/** Ids of the rows a command reads; those found through other rows are known once these are loaded. */
export interface Names {
  readonly job: string | undefined;
  readonly agent: string | undefined;
  readonly owner: string | undefined;
  readonly held: readonly string[];
}

/**
 * The rows `command` reads, as far as `rows` (what is loaded already) tells: the holder is found through the job,
 * the owner and the held jobs through the agent. Asking three times names everything.
 */
export function rowsNamed(command: Command, rows: Rows = {}): Names {
  return {
    job: jobNamed(command),
    agent: agentNamed(command, rows.job),
    owner: ownerNamed(command, rows.agent),
    held: command.kind === 'hello' || command.kind === 'revoke' ? liveJobs(rows.agent) : [],
  };
}

/** Where a store finds rows, within one transaction; earlier decisions of the same group are visible. */
export interface Lookup {
  job(id: string): JobRow | undefined;
  agent(id: string): AgentRow | undefined;
  owner(id: string): OwnerRow | undefined;
  description(id: string): string | undefined;
  tombstone?(id: string): Tombstone | undefined;
}

/** Loads what `command` reads. */
export function gather(command: Command, lookup: Lookup): Rows {
  const jobId = jobNamed(command);
  const job = jobId === undefined ? undefined : lookup.job(jobId);
  const agentId = agentNamed(command, job);
  const agent = agentId === undefined ? undefined : lookup.agent(agentId);
  const names = rowsNamed(command, { job, agent });
  return {
    job,
    agent,
    owner: names.owner === undefined ? undefined : lookup.owner(names.owner),
    description: command.kind === 'lease' && job !== undefined ? lookup.description(job.id) : undefined,
    held: names.held.flatMap((id) => lookup.job(id) ?? []),
    ...(command.kind === 'accept' && job === undefined && { tombstone: lookup.tombstone?.(command.job.id) }),
  };
}

function jobNamed(command: Command): string | undefined {
  switch (command.kind) {
    case 'accept':
      return command.job.id;
    case 'enrol':
    case 'lapse':
    case 'hello':
    case 'seen':
    case 'revoke':
    case 'drain':
    case 'ban':
      return undefined;
    case 'lease':
    case 'renew':
    case 'report':
    case 'release':
    case 'verified':
    case 'abort':
    case 'finalised':
    case 'discarded':
    case 'told':
    case 'cancel':
    case 'expire':
    case 'grace':
      return command.job;
  }
}

function agentNamed(command: Command, job: JobRow | undefined): string | undefined {
  switch (command.kind) {
    case 'enrol':
    case 'lapse':
    case 'hello':
    case 'lease':
    case 'renew':
    case 'report':
    case 'release':
    case 'seen':
    case 'revoke':
    case 'drain':
      return command.agent;
    case 'verified':
    case 'finalised':
    case 'discarded':
      return job?.attempts.find((attempt) => attempt.number === command.attempt)?.agent;
    case 'cancel':
      return job?.attempts.find((attempt) => attempt.state !== 'void')?.agent;
    case 'expire':
      return job === undefined ? undefined : liveAttempt(job)?.agent;
    case 'accept':
    case 'abort':
    case 'told':
    case 'grace':
    case 'ban':
      return undefined;
  }
}

function ownerNamed(command: Command, agent: AgentRow | undefined): string | undefined {
  if (command.kind === 'enrol' || command.kind === 'hello' || command.kind === 'ban') return command.owner;
  return agent?.owner;
}

function liveJobs(agent: AgentRow | undefined): readonly string[] {
  return agent === undefined ? [] : agent.held.filter((entry) => entry.live).map((entry) => entry.job);
}
