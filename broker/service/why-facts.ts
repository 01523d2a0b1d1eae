import type { Limits } from '../core/command.ts';
import { liveHeld } from '../core/holder.ts';
import { type AgentRow, type JobRow, MAX_VERDICTS } from '../core/state.ts';
import type { LedgerKeeping } from '../ledger/keeping.ts';
import type { Ledger, StoredJob } from '../ledger/ledger.ts';
import type { Bucket } from '../matching/bucket.ts';
import { bucketOf } from '../matching/bucket.ts';
import { classMatches } from '../matching/host-class.ts';
import { firstObstacle, type Obstacle } from '../matching/obstacle.ts';
import type { Place } from '../matching/pool.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import type { AvailableJobs } from './available-jobs.ts';
import { type BrokerConfiguration, MAX_AHEAD } from './configuration.ts';
import { parseDescription } from './description.ts';
import type { SeenAgent, SeenAgents } from './seen-agents.ts';
import type { Trouble, Troubles } from './troubles.ts';

/** What keeps an agent that could run the job from doing so. */
export interface AgentFacts {
  readonly agent: string;
  readonly state: 'asking' | 'busy' | 'silent' | 'cooling-down' | 'agent-limit' | 'owner-limit';
  readonly live: number;
  readonly coolsForMs: number;
}

/** Machines that say the same of themselves. */
export interface ClassFacts {
  readonly agents: number;
  readonly obstacle: Obstacle | null;
}

export interface QueueFacts {
  readonly name: string;
  readonly jobAdapter: string;
  readonly storageAdapter: string;
  readonly isJobAdapterThere: boolean;
  readonly isStorageAdapterThere: boolean;
  readonly waiting: number;
  readonly prefetch: number;
  /** So many wait that no more are fetched, whoever asks. */
  readonly isFull: boolean;
  readonly leaseMs: number;
  readonly troubles: readonly AgedTrouble[];
}

export interface AgedTrouble extends Omit<Trouble, 'sinceMs' | 'lastMs'> {
  readonly forMs: number;
}

/** Everything the broker knows that may be why a job is where it is. Times are durations, but for those in the row. */
export interface WhyFacts {
  readonly job: JobRow | null;
  /** The ledger's clock: what the row's times are compared with. */
  readonly nowMs: number;
  readonly troubles: readonly AgedTrouble[];
  readonly queue: QueueFacts | null;
  readonly place: Place | null;
  readonly limits: Pick<Limits, 'liveAttemptsPerAgent' | 'liveAttemptsPerOwner'>;
  /** Those that were sent away apart. */
  readonly connectedAgents: number;
  /** Connected agents that asked for work since the broker started. */
  readonly classes: readonly ClassFacts[];
  /** Those of them that match, at most `MAX_SHOWN`. */
  readonly matching: readonly AgentFacts[];
  /** Agents that came and are not served, newest last, at most `MAX_SHOWN`. */
  readonly sentAway: readonly { readonly agent: string; readonly code: string; readonly agoMs: number }[];
  /** Who holds the job's live attempt. */
  readonly holder: { readonly agent: string; readonly isConnected: boolean } | null;
}

export interface WhyOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly ledger: Ledger;
  readonly keeping: LedgerKeeping;
  readonly jobs: AvailableJobs;
  readonly troubles: Troubles;
  readonly seen: SeenAgents;
  readonly isConnected: (agent: string) => boolean;
  readonly connected: () => number;
  readonly isOpen: (service: string) => boolean;
}

const MAX_SHOWN = 32;

/** Gathers them for one job. `queue` is where a job belongs that the ledger does not have. */
export function createWhy(
  options: WhyOptions,
): (job: string, queue: string | undefined) => Promise<WhyFacts> {
  const { runtime, configuration, ledger, keeping, jobs, troubles, seen } = options;

  function agedTroubles(subject: string): readonly AgedTrouble[] {
    const nowMs = runtime.clock.monotonicMs();
    return troubles.of(subject).map(({ step, code, message, times, sinceMs }) => ({
      step,
      code,
      message,
      times,
      forMs: nowMs - sinceMs,
    }));
  }

  function queueFacts(name: string | undefined): QueueFacts | null {
    const queue = configuration.queues.find((entry) => entry.name === name);
    if (queue === undefined) return null;
    const { jobAdapter, storageAdapter, prefetch, leaseMs } = queue;
    const waiting = jobs.waitingIn(queue.name);
    return {
      name: queue.name,
      jobAdapter,
      storageAdapter,
      isJobAdapterThere: options.isOpen(jobAdapter),
      isStorageAdapterThere: options.isOpen(storageAdapter),
      waiting,
      prefetch,
      isFull: waiting >= (jobs.parked > 0 ? MAX_AHEAD : prefetch / 2),
      leaseMs,
      troubles: agedTroubles(queueSubject(queue.name)),
    };
  }

  function connectedAgents(): readonly SeenAgent[] {
    return [...seen.agents].filter(({ agent }) => options.isConnected(agent));
  }

  function sentAway(): WhyFacts['sentAway'] {
    const nowMs = runtime.clock.monotonicMs();
    return [...seen.away]
      .map(({ agent, code, atMs }) => ({ agent, code, agoMs: nowMs - atMs }))
      .slice(-MAX_SHOWN);
  }

  /** Sessions that an agent had before it was sent away, and that are of no use to it. */
  function unserved(): number {
    return [...seen.away].filter(({ agent }) => options.isConnected(agent)).length;
  }

  async function agentFacts(known: SeenAgent, nowMs: number): Promise<AgentFacts> {
    const [row, owner] = await Promise.all([ledger.agent(known.agent), keeping.owner(known.owner)]);
    const live = row === undefined ? 0 : liveHeld(row);
    const coolsForMs = Math.max(0, (row?.coolUntilMs ?? 0) - nowMs);
    const state = stateOf(known, row, owner?.live ?? 0, coolsForMs, configuration.limits);
    return { agent: known.agent, state, live, coolsForMs };
  }

  return async (id, queueName) => {
    const stored = await ledger.job(id);
    const job = stored?.job;
    const nowMs = await keeping.nowMs();
    const known = connectedAgents();
    const bucket = stored?.job.state === 'queued' ? bucketOfStored(runtime, stored) : undefined;
    const candidates = bucket === undefined ? [] : known.filter(({ host }) => classMatches(host, bucket));
    const live = job?.attempts.find((attempt) => attempt.state === 'live');
    return {
      job: job ?? null,
      nowMs,
      troubles: agedTroubles(id),
      queue: queueFacts(job?.queue ?? queueName),
      place: jobs.placeOf(id) ?? null,
      limits: configuration.limits,
      connectedAgents: options.connected() - unserved(),
      classes: bucket === undefined ? [] : classesOf(known, bucket),
      matching: await Promise.all(candidates.slice(0, MAX_SHOWN).map((agent) => agentFacts(agent, nowMs))),
      sentAway: sentAway(),
      holder: live === undefined ? null : { agent: live.agent, isConnected: options.isConnected(live.agent) },
    };
  };
}

/** Under which troubles of a queue as a whole are kept. */
export function queueSubject(queue: string): string {
  return `queue ${queue}`;
}

function bucketOfStored(runtime: Runtime, { job, description }: StoredJob): Bucket {
  const sha256 = (data: Uint8Array): Uint8Array => runtime.crypto.sha256(data);
  return bucketOf(sha256, job.queue, parseDescription(description));
}

/** The classes with the most agents first. */
function classesOf(known: readonly SeenAgent[], bucket: Bucket): readonly ClassFacts[] {
  const classes = Map.groupBy(known, ({ host }) => host);
  return [...classes]
    .sort(([, one], [, other]) => other.length - one.length)
    .slice(0, MAX_SHOWN)
    .map(([host, agents]) => ({ agents: agents.length, obstacle: firstObstacle(bucket, host.ad) ?? null }));
}

function stateOf(
  known: SeenAgent,
  row: AgentRow | undefined,
  ownerLive: number,
  coolsForMs: number,
  limits: Limits,
): AgentFacts['state'] {
  if (row === undefined) return 'silent';
  if (coolsForMs > 0) return 'cooling-down';
  const live = liveHeld(row);
  const unresolved = row.held.length - live;
  const isFull =
    live >= limits.liveAttemptsPerAgent ||
    unresolved >= limits.unresolvedPerAgent ||
    row.held.length + row.verdicts.length >= MAX_VERDICTS;
  if (isFull) return 'agent-limit';
  if (ownerLive >= limits.liveAttemptsPerOwner) return 'owner-limit';
  if (known.answer === 'none') return 'asking';
  return live > 0 ? 'busy' : 'silent';
}
