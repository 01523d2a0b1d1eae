import { CoPilotError, type ErrorCode } from '../../protocol/errors.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { Command, Outcome } from '../core/command.ts';
import type { Lookup } from '../core/rows.ts';
import type { AgentRow, JobRow, JobState, OwnerRow } from '../core/state.ts';
import { decideGroup, type GroupResult } from './group.ts';
import { createGroupQueue, type GroupQueue } from './group-queue.ts';
import {
  isForgotten,
  isLapsed,
  isOld,
  isOver,
  type LedgerRetention,
  type Tombstone,
  tombstoneOf,
} from '../core/prune.ts';
import { type Account, accountKey, accountsOfGone, createAccounts, MAX_ACCOUNTS } from '../core/account.ts';
import { isFinal } from '../core/audit.ts';
import type { AgentPage, LedgerKeeping, Pruned } from './keeping.ts';
import type { JobQuery, Ledger, StoredJob } from './ledger.ts';
import { createLedgerClock } from './ledger-clock.ts';
import { liveDeadline, matches, storedJob } from './stored-job.ts';

/** What outlives a crash of the broker: rows, audit lines and the clock. It grows with the number of jobs. */
export interface MemoryStore {
  readonly jobs: Map<string, JobRow>;
  /** Number of each job in the order of acceptance, from 1. */
  readonly order: Map<string, number>;
  lastOrder: number;
  readonly descriptions: Map<string, string>;
  readonly agents: Map<string, AgentRow>;
  readonly owners: Map<string, OwnerRow>;
  /** When each agent was last heard of. */
  readonly seen: Map<string, number>;
  readonly tombstones: Map<string, Tombstone>;
  /** Of jobs that went, by their key. */
  readonly accounts: Map<string, Account>;
  readonly audit: string[];
  /** Ids by condition, so that queries cost what they find. */
  readonly found: Readonly<Record<IndexedQuery, Set<string>>>;
  clockMs: number;
}

type IndexedQuery = Exclude<JobQuery['kind'], 'all'>;

export interface MemoryLedgerOptions {
  readonly clock: Clock;
  /** Give the store of an earlier ledger to reopen it. */
  readonly store?: MemoryStore;
  /** How long a group takes to become durable; none by default. */
  readonly syncMs?: number;
}

/** The ledger's twin without a disk, with faults to order. */
export interface MemoryLedger extends Ledger, LedgerKeeping {
  readonly store: MemoryStore;
  /** The next group fails whole with this code. */
  failNext(code: Extract<ErrorCode, 'LEDGER_FULL' | 'LEDGER_CORRUPT' | 'LEDGER_UNAVAILABLE'>): void;
  /** Dead at once: what is queued or under way is lost, whole groups at a time. */
  crash(): void;
  /** Dead right after the next group is durable and before anybody hears of it. */
  crashAfterNextGroup(): void;
}

export function createMemoryStore(): MemoryStore {
  return {
    jobs: new Map(),
    order: new Map(),
    lastOrder: 0,
    descriptions: new Map(),
    agents: new Map(),
    owners: new Map(),
    seen: new Map(),
    tombstones: new Map(),
    accounts: new Map(),
    audit: [],
    found: { queued: new Set(), live: new Set(), duties: new Set() },
    clockMs: 0,
  };
}

export function createMemoryLedger(options: MemoryLedgerOptions): MemoryLedger {
  return new MemoryLedgerHandle(options);
}

const DEAD = new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger is closed');

class MemoryLedgerHandle implements MemoryLedger {
  readonly store: MemoryStore;
  readonly #clock: Clock;
  readonly #syncMs: number;
  readonly #nowMs: () => number;
  readonly #queue: GroupQueue;
  #isOpen = true;
  #nextFailure: CoPilotError | undefined;
  #diesAfterGroup = false;

  constructor({ clock, store = createMemoryStore(), syncMs = 0 }: MemoryLedgerOptions) {
    this.store = store;
    this.#clock = clock;
    this.#syncMs = syncMs;
    this.#nowMs = createLedgerClock(clock, store.clockMs);
    this.#queue = createGroupQueue((commands) => this.#run(commands));
    this.#write([...store.found.live].map((job) => ({ kind: 'grace', job })));
  }

  apply(commands: readonly Command[]): Promise<readonly Outcome[]> {
    return this.#isOpen ? this.#queue.apply(commands) : Promise.reject(DEAD);
  }

  async due(limit: number): Promise<readonly string[]> {
    this.#check();
    const nowMs = this.#nowMs();
    return this.#ids('live')
      .map((id) => ({ id, deadlineMs: this.#deadline(id) }))
      .filter(({ deadlineMs }) => deadlineMs < nowMs)
      .sort((one, other) => one.deadlineMs - other.deadlineMs)
      .slice(0, limit)
      .map(({ id }) => id);
  }

  async list(query: JobQuery, after: string, limit: number): Promise<readonly StoredJob[]> {
    this.#check();
    return this.#ids(query.kind)
      .filter((id) => this.#order(id) > this.#order(after))
      .slice(0, limit)
      .flatMap((id) => this.#stored(id) ?? []);
  }

  async job(id: string): Promise<StoredJob | undefined> {
    this.#check();
    return this.#stored(id);
  }

  async agent(id: string): Promise<AgentRow | undefined> {
    this.#check();
    return this.store.agents.get(id);
  }

  async owner(id: string): Promise<OwnerRow | undefined> {
    this.#check();
    return this.store.owners.get(id);
  }

  async nowMs(): Promise<number> {
    this.#check();
    return this.#nowMs();
  }

  snapshot(): Promise<void> {
    return Promise.reject(new CoPilotError('UNSUPPORTED', 'this ledger has no file'));
  }

  async agents(after: string, limit: number): Promise<AgentPage> {
    this.#check();
    const agents = [...this.store.agents.values()]
      .filter(({ id }) => id > after)
      .sort((one, other) => (one.id < other.id ? -1 : 1))
      .slice(0, limit);
    return { agents, nowMs: this.#nowMs() };
  }

  async count(): Promise<Readonly<Partial<Record<JobState, number>>>> {
    this.#check();
    const counts: Partial<Record<JobState, number>> = {};
    for (const { state } of this.store.jobs.values()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  async accounts(after: string, limit: number): Promise<readonly Account[]> {
    this.#check();
    const entries = [...this.store.accounts].toSorted(([one], [other]) => (one < other ? -1 : 1));
    return entries
      .filter(([key]) => key > after)
      .slice(0, limit)
      .map(([, account]) => account);
  }

  async prune(retention: LedgerRetention, limit: number): Promise<Pruned> {
    this.#check();
    return pruneStore(this.store, retention, limit, this.#nowMs());
  }

  async close(): Promise<void> {
    await this.#queue.drained();
    if (this.#isOpen) this.store.clockMs = this.#nowMs();
    this.#isOpen = false;
  }

  failNext(code: Extract<ErrorCode, 'LEDGER_FULL' | 'LEDGER_CORRUPT' | 'LEDGER_UNAVAILABLE'>): void {
    this.#nextFailure = new CoPilotError(code, 'as the test ordered');
  }

  crash(): void {
    this.#isOpen = false;
    this.#queue.fail(DEAD);
  }

  crashAfterNextGroup(): void {
    this.#diesAfterGroup = true;
  }

  async #run(commands: readonly Command[]): Promise<readonly Outcome[]> {
    if (this.#syncMs > 0) await this.#sleep(this.#syncMs);
    this.#check();
    const failure = this.#nextFailure;
    this.#nextFailure = undefined;
    if (failure !== undefined) throw failure;
    const outcomes = this.#write(commands);
    if (this.#diesAfterGroup) this.crash();
    this.#check();
    return outcomes;
  }

  #write(commands: readonly Command[]): readonly Outcome[] {
    const nowMs = this.#nowMs();
    const result = decideGroup(commands, lookupIn(this.store), nowMs);
    keep(this.store, result, nowMs);
    this.store.clockMs = nowMs;
    return result.outcomes;
  }

  #check(): void {
    if (!this.#isOpen) throw DEAD;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.schedule(ms, resolve);
    });
  }

  /** Ids in the order of acceptance. */
  #ids(query: JobQuery['kind']): readonly string[] {
    if (query === 'all') return [...this.store.order.keys()];
    return [...this.store.found[query]].sort((one, other) => this.#order(one) - this.#order(other));
  }

  #order(id: string): number {
    return this.store.order.get(id) ?? 0;
  }

  #deadline(id: string): number {
    const job = this.store.jobs.get(id);
    return (job && liveDeadline(job)) ?? Infinity;
  }

  #stored(id: string): StoredJob | undefined {
    const job = this.store.jobs.get(id);
    return job && storedJob(job, this.store.descriptions.get(id) ?? '');
  }
}

function lookupIn(store: MemoryStore): Lookup {
  return {
    job: (id) => store.jobs.get(id),
    agent: (id) => store.agents.get(id),
    owner: (id) => store.owners.get(id),
    description: (id) => store.descriptions.get(id),
    tombstone: (id) => store.tombstones.get(id),
  };
}

function keep(store: MemoryStore, result: GroupResult, nowMs: number): void {
  for (const outcome of result.outcomes) if ('agent' in outcome) store.seen.set(outcome.agent.id, nowMs);
  for (const [id, { after }] of result.jobs) {
    store.jobs.set(id, after);
    for (const query of ['queued', 'live', 'duties'] as const) {
      if (matches(after, query)) store.found[query].add(id);
      else store.found[query].delete(id);
    }
  }
  for (const id of result.descriptions.keys()) store.order.set(id, ++store.lastOrder);
  for (const [id, text] of result.descriptions) store.descriptions.set(id, text);
  for (const [id, agent] of result.agents) store.agents.set(id, agent);
  for (const [id, owner] of result.owners) store.owners.set(id, owner);
  store.audit.push(...result.audit);
}

/** As the file does it, without places to go on from: it looks at everything each time. */
function pruneStore(store: MemoryStore, retention: LedgerRetention, limit: number, nowMs: number): Pruned {
  const all = [...store.jobs.values()];
  const excess = all.filter(({ state }) => isFinal(state)).length - retention.jobs;
  const over = [...store.order.keys()].flatMap((id) => store.jobs.get(id) ?? []).filter(isOver);
  const due = over.filter((job, at) => at < excess || isOld(job, retention, nowMs));
  const gone = due.slice(0, limit);
  for (const job of gone) bury(store, job, nowMs);
  account(store, gone);
  const lapsed = [...store.agents.values()].filter((agent) =>
    isLapsed(agent, store.seen.get(agent.id) ?? 0, retention, nowMs),
  );
  const agents = [...store.agents.values()].filter((agent) =>
    isForgotten(agent, store.seen.get(agent.id) ?? 0, retention, nowMs),
  );
  for (const { id } of agents) store.agents.delete(id);
  const tombstones = [...store.tombstones.values()].filter(
    ({ atMs }) => atMs + retention.tombstoneMs <= nowMs,
  );
  for (const { id } of tombstones) store.tombstones.delete(id);
  const auditRecords = Math.max(0, store.audit.length - retention.auditRecords);
  store.audit.splice(0, auditRecords);
  return {
    jobs: Math.min(due.length, limit),
    agents: agents.length,
    tombstones: tombstones.length,
    auditRecords,
    lapsed: lapsed.slice(0, limit).map(({ id }) => id),
    more: due.length > limit,
  };
}

function account(store: MemoryStore, gone: readonly JobRow[]): void {
  const accounts = createAccounts();
  for (const known of store.accounts.values()) accounts.include(known);
  for (const more of accountsOfGone(gone, store.accounts.size >= MAX_ACCOUNTS)) accounts.include(more);
  for (const row of accounts.rows()) store.accounts.set(accountKey(row), row);
}

function bury(store: MemoryStore, job: JobRow, nowMs: number): void {
  store.tombstones.set(job.id, tombstoneOf(job, nowMs));
  store.jobs.delete(job.id);
  store.order.delete(job.id);
  store.descriptions.delete(job.id);
}
