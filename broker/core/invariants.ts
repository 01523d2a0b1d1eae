import { MAX_FLIPS } from './agent-start.ts';
import { isFinal } from './audit.ts';
import {
  type AgentRow,
  type Attempt,
  type JobRow,
  type JobState,
  MAX_KEPT_ATTEMPTS,
  MAX_SLOTS,
  MAX_SUPERSEDED,
  MAX_VERDICTS,
  type OwnerRow,
} from './state.ts';

/** Rows of one ledger, all of them or those of some jobs and agents. */
export interface Snapshot {
  readonly jobs: readonly JobRow[];
  readonly agents: readonly AgentRow[];
  readonly owners: readonly OwnerRow[];
}

/**
 * What is wrong with a whole ledger: each entry begins with the number of the broken invariant (docs/invariants.md). Empty is well.
 */
export function invariants(snapshot: Snapshot): readonly string[] {
  return [
    ...snapshot.jobs.flatMap(jobFaults),
    ...snapshot.agents.flatMap(agentFaults),
    ...holderFaults(snapshot),
  ];
}

type Check = readonly [isWell: boolean, fault: string];

/** What is wrong with one job's row by itself. */
function jobFaults(job: JobRow): readonly string[] {
  const numbers = job.attempts.map((attempt) => attempt.number);
  const active = job.attempts.filter((attempt) => attempt.state !== 'void');
  const checks: readonly Check[] = [
    [active.filter((attempt) => attempt.state === 'live').length <= 1, 'I1 more than one live attempt'],
    [isRising(numbers), 'I1 attempt numbers do not rise'],
    [(numbers.at(-1) ?? 0) <= job.lastAttempt, 'I1 an attempt is newer than the last'],
    [active.length <= 1, 'I3 more than one attempt may become the result'],
    [fits(job.state, active[0]), `I4 ${job.state} with attempt ${active[0]?.state ?? 'none'}`],
    [hasReason(job), `I4 ${job.state} without a reason`],
    [isFinal(job.state) || job.state === 'committed' || job.finishedMs === null, 'I4 finished and open'],
    [!job.told || isFinal(job.state), 'I5 told before its end'],
    [!(job.events > 0) || job.state === 'told', 'I5 events of a result that does not count'],
    [job.attempts.length <= MAX_KEPT_ATTEMPTS, 'I9 too many attempts kept'],
    [job.failures <= job.retries + 1 && job.losses <= job.maxLost + 1, 'I9 tries without end'],
  ];
  return faultsOf(`job ${job.id}`, checks);
}

const ACTIVE_STATE: Readonly<Record<JobState, Attempt['state'] | undefined>> = {
  queued: undefined,
  leased: 'live',
  reported: 'reported',
  waiting: 'waiting',
  committing: 'committing',
  committed: 'committed',
  told: 'committed',
  'refused-by-framework': 'committed',
  failed: undefined,
  cancelled: undefined,
};

function fits(state: JobState, active: Attempt | undefined): boolean {
  return ACTIVE_STATE[state] === active?.state;
}

function hasReason(job: JobRow): boolean {
  return job.state !== 'failed' || job.reason !== '';
}

function agentFaults(agent: AgentRow): readonly string[] {
  const slots = Object.keys(agent.slots);
  const checks: readonly Check[] = [
    [agent.verdicts.length + agent.held.length <= MAX_VERDICTS, 'I9 too many verdicts'],
    [slots.length <= MAX_SLOTS, 'I9 too many slots'],
    [agent.superseded.length <= MAX_SUPERSEDED, 'I9 too many superseded starts'],
    [agent.flipsMs.length <= MAX_FLIPS + 1, 'I9 too many flips'],
    [new Set(agent.held.map(refOf)).size === agent.held.length, 'I2 an attempt is held twice'],
  ];
  return faultsOf(`agent ${agent.id}`, checks);
}

/** Jobs and agents must tell the same story of who holds what. */
function holderFaults({ jobs, agents, owners }: Snapshot): readonly string[] {
  const held = new Map<string, string>();
  for (const agent of agents)
    for (const entry of agent.held) held.set(refOf(entry), `${agent.id} ${entry.live ? 'live' : 'open'}`);
  const expected = new Map(jobs.flatMap(heldOf));
  return [
    ...difference(expected, held, 'I2 missing from the list of its holder'),
    ...difference(held, expected, 'I2 held without right'),
    ...owners.flatMap((owner) => ownerFaults(owner, jobs, agents)),
  ];
}

function heldOf(job: JobRow): readonly (readonly [string, string])[] {
  return job.attempts
    .filter(({ state }) => state !== 'void' && state !== 'committed')
    .map((attempt) => [
      refOf({ job: job.id, attempt: attempt.number }),
      `${attempt.agent} ${attempt.state === 'live' ? 'live' : 'open'}`,
    ]);
}

function ownerFaults(
  owner: OwnerRow,
  jobs: readonly JobRow[],
  agents: readonly AgentRow[],
): readonly string[] {
  const places = agents.filter((agent) => agent.place && agent.owner === owner.id).length;
  const live = jobs
    .flatMap((job) => job.attempts)
    .filter((attempt) => attempt.state === 'live' && attempt.owner === owner.id).length;
  return [
    ...(live === owner.live ? [] : [`I9 owner ${owner.id} counts ${owner.live} live attempts, has ${live}`]),
    ...(places === owner.agents ? [] : [`I9 owner ${owner.id} counts ${owner.agents} agents, has ${places}`]),
  ];
}

function difference(
  one: ReadonlyMap<string, string>,
  other: ReadonlyMap<string, string>,
  fault: string,
): readonly string[] {
  return [...one].filter(([ref, holder]) => other.get(ref) !== holder).map(([ref]) => `${fault}: ${ref}`);
}

function isRising(numbers: readonly number[]): boolean {
  return numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0));
}

function refOf({ job, attempt }: { readonly job: string; readonly attempt: number }): string {
  return `${job}/${attempt}`;
}

function faultsOf(subject: string, checks: readonly Check[]): readonly string[] {
  return checks.filter(([isWell]) => !isWell).map(([, fault]) => `${fault} (${subject})`);
}
