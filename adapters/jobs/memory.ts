import { newId } from '../../protocol/encoding.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { File, NewJob, Usage } from '../../protocol/generated/types.ts';
import type { Cancel, Clock, Random } from '../../protocol/runtime/runtime.ts';
import { fitting, MAX_FETCH_JOBS } from './fetch-bound.ts';
import type { FailedAttempt, Fetched, JobAdapter, Work } from './job-adapter.ts';
import * as states from './local/job-state.core.ts';
import { indexJobs } from './memory-index.ts';
import { newJobFault } from './new-job.ts';
import { Turns } from './turns.ts';

/** How long a job that was handed over waits to be named as accepted before it is handed over again. */
const HAND_AGAIN_MS = 10_000;

/** How often what is still true is said again. */
const REMIND_MS = 10_000;

/** Most jobs the twin holds. */
const MAX_JOBS = 100_000;

/** What goes wrong, settable while it runs. Probabilities are between 0 and 1. */
export interface JobAdapterFaults {
  /** Every call is refused with `UNREACHABLE` and nothing happens. */
  readonly down: boolean;
  /** A call does its work and then rejects with `UNREACHABLE`. */
  readonly lostReply: number;
  /** What the adapter says unasked is not heard. */
  readonly lostWork: number;
  /** The framework will not have this result. */
  readonly refuses: (job: string, attempt: number) => boolean;
}

export type MemoryJob = Omit<NewJob, 'job'>;

/** What the framework of the twin saw of a job; its durable memory. */
export interface MemoryRecord {
  readonly job: NewJob;
  readonly queue: string;
  readonly progress: states.JobProgress;
  readonly manifest: readonly File[];
  readonly usage: Usage | undefined;
  readonly failures: readonly FailedAttempt[];
  /** How often `finished` and `failed` were heard, repeats included. */
  readonly told: number;
}

/** A job adapter whose framework lives in memory: deterministic given clock and random. */
export interface MemoryJobAdapter extends JobAdapter {
  /** Throws `INVALID_REQUEST` for a job the contract does not allow. Answers the ids. */
  submit(queue: string, jobs: readonly MemoryJob[]): readonly string[];
  cancel(job: string): void;
  record(job: string): MemoryRecord | undefined;
  records(): readonly MemoryRecord[];
  setFaults(faults: Partial<JobAdapterFaults>): void;
  /** The adapter's process dies: calls are refused and nothing is said until `restart`; what the framework knows stays. */
  crash(): void;
  /** A new process over the same framework; what was handed over is due again. */
  restart(): void;
}

export interface MemoryJobAdapterOptions {
  readonly clock: Clock;
  readonly random: Random;
}

interface Entry {
  readonly job: NewJob;
  readonly queue: string;
  readonly order: number;
  progress: states.JobProgress;
  /** When it was last handed over, by this process; undefined where it is due. */
  handedMs: number | undefined;
  manifest: readonly File[];
  usage: Usage | undefined;
  failures: readonly FailedAttempt[];
  told: number;
}

const NO_FAULTS: JobAdapterFaults = { down: false, lostReply: 0, lostWork: 0, refuses: () => false };

export function createMemoryJobAdapter(options: MemoryJobAdapterOptions): MemoryJobAdapter {
  const { clock, random } = options;
  const entries = new Map<string, Entry>();
  const turns = new Map<string, Turns>();
  let faults = NO_FAULTS;
  let dead = false;
  let handler: ((work: Work) => void) | undefined;
  let reminder: Cancel | undefined;

  const chance = (probability: number): boolean =>
    probability > 0 && (random.bytes(1)[0] ?? 0) < probability * 256;
  const tell = (work: Work): void => {
    if (dead || faults.down || chance(faults.lostWork)) return;
    handler?.(work);
  };
  const tellKill = (entry: Entry): void => {
    tell({ kind: 'kill', job: entry.job.job, reason: 'cancelled by its owner' });
  };
  const tellWaiting = (): void => {
    for (const [queue, count] of waitingByQueue(entries.values())) tell({ kind: 'available', queue, count });
  };
  const remind = (): void => {
    tellWaiting();
    for (const entry of entries.values()) if (entry.progress.cancelling) tellKill(entry);
    reminder = clock.schedule(REMIND_MS, remind);
  };
  const call = async <T>(act: () => T): Promise<T> => {
    if (dead || faults.down) throw new CoPilotError('UNREACHABLE', 'the job adapter is down');
    const value = act();
    if (chance(faults.lostReply)) throw new CoPilotError('UNREACHABLE', 'the answer was lost');
    return value;
  };
  const hear = (id: string, step: (entry: Entry) => states.JobProgress): Promise<void> =>
    call(() => {
      const entry = entries.get(id);
      if (entry === undefined) return;
      if (states.wantsKill(entry.progress)) tellKill(entry);
      entry.progress = step(entry);
    });

  const add = (queue: string, wanted: MemoryJob): string => {
    if (entries.size >= MAX_JOBS) throw new CoPilotError('QUEUE_FULL', `the twin holds ${MAX_JOBS} jobs`);
    const job: NewJob = { ...wanted, job: newId(random) };
    const fault = newJobFault(job);
    if (fault !== undefined) throw new CoPilotError('INVALID_REQUEST', fault);
    const order = entries.size;
    const progress = states.newProgress;
    entries.set(job.job, {
      job,
      queue,
      order,
      progress,
      handedMs: undefined,
      manifest: [],
      usage: undefined,
      failures: [],
      told: 0,
    });
    return job.job;
  };
  const turnsOf = (queue: string): Turns => {
    const known = turns.get(queue) ?? new Turns();
    turns.set(queue, known);
    return known;
  };
  const acceptAll = (accepted: readonly string[]): void => {
    for (const id of accepted) {
      const entry = entries.get(id);
      if (entry === undefined) continue;
      if (states.wantsKill(entry.progress)) tellKill(entry);
      entry.progress = states.accept(entry.progress);
    }
  };
  const handOver = (queue: string, max: number): Fetched => {
    const nowMs = clock.monotonicMs();
    const due = [...entries.values()].filter((entry) => entry.queue === queue && isDue(entry, nowMs));
    const again = due.filter((entry) => entry.progress.state === 'handed').sort(bestFirst);
    const waiting = due.filter((entry) => entry.progress.state === 'pending');
    const limit = Math.min(max, MAX_FETCH_JOBS);
    const wanted = [...again, ...inTurn(turnsOf(queue), waiting, limit - again.length)].slice(0, limit);
    const jobs = fitting(wanted.map((entry) => entry.job));
    for (const entry of wanted.slice(0, jobs.length)) {
      entry.handedMs = nowMs;
      entry.progress = { ...entry.progress, state: 'handed' };
    }
    return { jobs, more: jobs.length < due.length };
  };
  const finish = (id: string, attempt: number, manifest: readonly File[], usage: Usage): 'ok' | 'refused' => {
    const entry = entries.get(id);
    if (entry === undefined) return 'refused';
    entry.told++;
    if (faults.refuses(id, attempt)) return 'refused';
    const { job, answer } = states.finish(entry.progress, attempt);
    if (job !== entry.progress) {
      entry.progress = job;
      entry.manifest = manifest;
      entry.usage = usage;
    }
    return answer;
  };

  return {
    submit(queue, jobs) {
      const ids = jobs.map((job) => add(queue, job));
      tellWaiting();
      return ids;
    },
    cancel(id) {
      const entry = entries.get(id);
      if (entry === undefined) throw new CoPilotError('NOT_FOUND', `no job ${id}`);
      entry.progress = states.cancel(entry.progress);
      if (states.wantsKill(entry.progress)) tellKill(entry);
    },
    record: (id) => entries.get(id),
    records: () => [...entries.values()],
    setFaults(next) {
      faults = { ...faults, ...next };
    },
    crash() {
      dead = true;
      reminder?.();
      reminder = undefined;
    },
    restart() {
      dead = false;
      for (const entry of entries.values()) entry.handedMs = undefined;
      if (handler !== undefined) reminder ??= clock.schedule(0, remind);
    },
    fetch: (queue, max, accepted) =>
      call(() => {
        acceptAll(accepted);
        return handOver(queue, max);
      }),
    started: (id, attempt, agent) => hear(id, (entry) => states.start(entry.progress, attempt, agent)),
    renewed: (id, attempt, progress) => hear(id, (entry) => states.renew(entry.progress, attempt, progress)),
    released: (id, attempt, reason) =>
      hear(id, (entry) => {
        keepFailure(entry, { attempt, reason, logTail: '' });
        return states.release(entry.progress, attempt, reason);
      }),
    finished: (id, attempt, manifest, usage) => call(() => finish(id, attempt, manifest, usage)),
    failed: (id, outcome, reason, attempts) =>
      call(() => {
        const entry = entries.get(id);
        if (entry === undefined) return;
        entry.told++;
        entry.progress = states.fail(entry.progress, outcome, reason);
        for (const failure of attempts) keepFailure(entry, failure);
      }),
    onWork(next) {
      handler = next;
      if (!dead) reminder ??= clock.schedule(0, remind);
    },
  };
}

function isDue(entry: Entry, nowMs: number): boolean {
  if (entry.progress.state === 'pending') return true;
  if (entry.progress.state !== 'handed') return false;
  return entry.handedMs === undefined || nowMs - entry.handedMs >= HAND_AGAIN_MS;
}

/** At most so many of the jobs, owners and campaigns in turn. */
function inTurn(turns: Turns, jobs: readonly Entry[], limit: number): readonly Entry[] {
  const index = indexJobs(jobs, (entry) => entry.job);
  const taken: Entry[] = [];
  while (taken.length < limit) {
    const next = turns.next(index);
    if (next === undefined) break;
    turns.had(next);
    index.drop(next.job);
    taken.push(next.job);
  }
  return taken;
}

function bestFirst(one: Entry, other: Entry): number {
  return other.job.priority - one.job.priority || one.order - other.order;
}

function waitingByQueue(entries: Iterable<Entry>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { queue, progress } of entries) {
    const waits = progress.state === 'pending' || progress.state === 'handed';
    if (waits) counts.set(queue, (counts.get(queue) ?? 0) + 1);
  }
  return counts;
}

/** One failure per attempt, the newest 32; a log tail once heard is not lost to a repeat without it. */
function keepFailure(entry: Entry, failure: FailedAttempt): void {
  if (entry.progress.state === 'finished') return;
  const known = entry.failures.find((one) => one.attempt === failure.attempt);
  const logTail = failure.logTail === '' ? (known?.logTail ?? '') : failure.logTail;
  const others = entry.failures.filter((one) => one !== known);
  entry.failures = [...others, { ...failure, logTail }]
    .sort((one, other) => one.attempt - other.attempt)
    .slice(-32);
}
