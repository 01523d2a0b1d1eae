import type { AuditRecord, Command, Limits, NewJob, Outcome } from '../../../broker/core/command.ts';
import { decide } from '../../../broker/core/decide.ts';
import { invariants } from '../../../broker/core/invariants.ts';
import { gather, type Lookup } from '../../../broker/core/rows.ts';
import type { AgentRow, Attempt, JobRow, OwnerRow } from '../../../broker/core/state.ts';

export const LIMITS: Limits = {
  liveAttemptsPerAgent: 3,
  liveAttemptsPerOwner: 4,
  unresolvedPerAgent: 3,
  quickFailureMs: 10_000,
  quickFailuresAllowed: 2,
  coolDownMs: 60_000,
  maxCoolDownMs: 240_000,
};

export const TERMS = { leaseMs: 900_000, firstRenewMs: 60_000 };

export const USAGE = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 10, diskMiB: 1 };

export const FILE = { name: 'events.csv', size: 3, sha256: 'ab'.repeat(32) };

/** A change of one job's row, as the table of transitions sees it. */
export interface Change {
  readonly before: JobRow | undefined;
  readonly after: JobRow;
}

/** One thing that happened. */
export interface Step {
  readonly command: Command;
  readonly outcome: Outcome;
  readonly changes: readonly Change[];
  readonly agentBefore: AgentRow | undefined;
  readonly nowMs: number;
  /** Whether any row changed. */
  readonly isChanged: boolean;
}

/** A ledger of maps around the pure machine: no promises, no store, and a clock moved by hand. */
export interface World {
  readonly do: (command: Command) => Step;
  readonly advance: (ms: number) => void;
  readonly now: () => number;
  readonly job: (id: string) => JobRow;
  readonly attempt: (id: string, number: number) => Attempt;
  readonly agent: (id: string) => AgentRow;
  readonly owner: (id: string) => OwnerRow | undefined;
  readonly jobs: () => readonly JobRow[];
  readonly audit: readonly AuditRecord[];
  readonly faults: () => readonly string[];
}

export function createWorld(): World {
  const jobs = new Map<string, JobRow>();
  const agents = new Map<string, AgentRow>();
  const owners = new Map<string, OwnerRow>();
  const descriptions = new Map<string, string>();
  const audit: AuditRecord[] = [];
  let nowMs = 1_000;
  const lookup: Lookup = {
    job: (id) => jobs.get(id),
    agent: (id) => agents.get(id),
    owner: (id) => owners.get(id),
    description: (id) => descriptions.get(id),
  };
  return {
    do(command) {
      const rows = gather(command, lookup);
      const { rows: after, outcome, audit: records } = decide(rows, command, nowMs);
      const changes = after.jobs.map((job): Change => ({ before: jobs.get(job.id), after: job }));
      for (const job of after.jobs) jobs.set(job.id, job);
      if (command.kind === 'accept' && after.description !== null)
        descriptions.set(command.job.id, after.description);
      if (after.agent !== null) agents.set(after.agent.id, after.agent);
      if (after.owner !== null) owners.set(after.owner.id, after.owner);
      audit.push(...records);
      const isChanged = changes.length > 0 || after.agent !== null || after.owner !== null;
      return { command, outcome, changes, agentBefore: rows.agent, nowMs, isChanged };
    },
    advance: (ms) => {
      nowMs += ms;
    },
    now: () => nowMs,
    job: (id) => jobs.get(id)!,
    attempt: (id, number) => jobs.get(id)!.attempts.find((attempt) => attempt.number === number)!,
    agent: (id) => agents.get(id)!,
    owner: (id) => owners.get(id),
    jobs: () => [...jobs.values()],
    audit,
    faults: () =>
      invariants({ jobs: [...jobs.values()], agents: [...agents.values()], owners: [...owners.values()] }),
  };
}

export function newJob(id: string, given: Partial<NewJob> = {}): NewJob {
  return {
    id,
    queue: 'local',
    ref: `ref-${id}`,
    owner: 'physicist',
    site: 'here',
    campaign: 'zpeak',
    priority: 0,
    bucket: 'any',
    retries: 2,
    maxLost: 3,
    adapterState: '',
    description: `{"id":"${id}"}`,
    ...given,
  };
}

export function accept(id: string, given: Partial<NewJob> = {}): Command {
  return { kind: 'accept', job: newJob(id, given) };
}

export function hello(agent: string, start = 's1', owner = `owner-${agent}`): Command {
  return { kind: 'hello', agent, owner, site: 'home', tier: 'untrusted', start };
}

type Given<Kind extends Command['kind']> = Partial<Extract<Command, { kind: Kind }>>;

export function lease(agent: string, job: string, counter: number, given: Given<'lease'> = {}): Command {
  return {
    kind: 'lease',
    agent,
    start: 's1',
    slot: 1,
    counter,
    afterReport: false,
    job,
    terms: TERMS,
    limits: LIMITS,
    seen: [],
    ...given,
  };
}

export function renew(agent: string, job: string, attempt: number, given: Given<'renew'> = {}): Command {
  return {
    kind: 'renew',
    agent,
    start: 's1',
    job,
    attempt,
    progress: 0.5,
    usage: USAGE,
    logTail: 'running',
    ...given,
  };
}

export function report(
  agent: string,
  job: string,
  attempt: number,
  counter: number,
  given: Given<'report'> = {},
): Command {
  return {
    kind: 'report',
    agent,
    start: 's1',
    slot: 1,
    counter,
    job,
    attempt,
    exit: { kind: 'exited', code: 0 },
    manifest: [FILE],
    usage: USAGE,
    logTail: 'done',
    signature: 'c2lnbmVk',
    limits: LIMITS,
    seen: [],
    ...given,
  };
}

export function release(
  agent: string,
  job: string,
  attempt: number,
  counter: number,
  reason = 'drain',
): Command {
  return { kind: 'release', agent, start: 's1', slot: 1, counter, job, attempt, reason };
}

export function verified(job: string, attempt: number, files = [FILE]): Command {
  return { kind: 'verified', job, attempt, result: { kind: 'verified', files }, limits: LIMITS };
}

export function mismatch(job: string, attempt: number, reason = 'digest differs'): Command {
  return { kind: 'verified', job, attempt, result: { kind: 'mismatch', reason }, limits: LIMITS };
}

export function finalised(job: string, attempt: number): Command {
  return { kind: 'finalised', job, attempt };
}

export function discarded(job: string, attempt: number): Command {
  return { kind: 'discarded', job, attempt };
}

export function abort(job: string, attempt: number, reason = 'storage refuses'): Command {
  return { kind: 'abort', job, attempt, reason };
}

export function told(job: string, answer: 'ok' | 'refused' = 'ok', reason = '', events = 0): Command {
  return { kind: 'told', job, answer, reason, events };
}

export function cancel(job: string, reason = 'no longer wanted'): Command {
  return { kind: 'cancel', job, reason };
}

export function expire(job: string): Command {
  return { kind: 'expire', job, limits: LIMITS };
}

export function grace(job: string): Command {
  return { kind: 'grace', job };
}

/** A world where `agents` are there and job `j1` waits. */
export function worldWith(...agents: readonly string[]): World {
  const world = createWorld();
  for (const agent of agents) world.do(hello(agent));
  world.do(accept('j1'));
  return world;
}

/** A world where agent a holds attempt 1 of j1. */
export function leasedWorld(...others: readonly string[]): World {
  const world = worldWith('a', ...others);
  world.do(lease('a', 'j1', 1));
  return world;
}
