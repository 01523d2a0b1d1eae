import type { Command } from '../core/command.ts';
import type { Tombstone } from '../core/prune.ts';
import { gather, type Lookup } from '../core/rows.ts';
import type { AgentRow, JobRow, OwnerRow } from '../core/state.ts';
import type { Row, Session } from './postgres-connection.ts';
import { PostgresFault } from './postgres-errors.ts';

/** Statements that lock and load; each locks in the order of ids. */
export const LOCKING_STATEMENTS = {
  lockJobs: `SELECT id, row, CASE WHEN id = ANY($2::text[]) THEN (SELECT text FROM description WHERE description.seq = job.seq) END AS text
    FROM job WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE`,
  lockAgents: 'SELECT id, seen, row FROM agent WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE',
  lockOwners: 'SELECT id, row FROM owner WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE',
  peekAgents: 'SELECT row FROM agent WHERE id = ANY($1::text[])',
  tombstones: 'SELECT id, at, attempt FROM tombstone WHERE id = ANY($1::text[])',
} as const;

/** Rows of one transaction, each locked when it was loaded: jobs first, then agents, then owners, so that brokers rarely cross. */
export interface LockedRows {
  /** Loads what the commands name, as far as the stored rows tell. */
  load(commands: readonly Command[]): Promise<void>;
  /** Loads what a decision asked for in vain; false where it asked for nothing else. */
  loadMissed(): Promise<boolean>;
  readonly lookup: Lookup;
  /** When an agent was last heard of; undefined where it is not known. */
  seenMs(agent: string): number | undefined;
}

export function createLockedRows(session: Session): LockedRows {
  return new Rows(session);
}

/** Rows by id as far as they are loaded; those that do not exist are undefined. */
class Shelf<Value> {
  readonly #rows = new Map<string, Value | undefined>();
  readonly #missed = new Set<string>();

  get(id: string): Value | undefined {
    if (!this.#rows.has(id)) this.#missed.add(id);
    return this.#rows.get(id);
  }

  /** Ids asked for and not loaded, and none of them from then on. */
  takeMissed(): readonly string[] {
    const ids = [...this.#missed];
    this.#missed.clear();
    return ids;
  }

  /** Rows as they were stored: the ledger alone writes them. */
  put(ids: readonly string[], rows: readonly (readonly [string, unknown])[]): void {
    for (const id of ids) this.#rows.set(id, undefined);
    for (const [id, row] of rows) this.#rows.set(id, row as Value);
  }
}

class Rows implements LockedRows {
  readonly #session: Session;
  readonly #jobs = new Shelf<JobRow>();
  readonly #agents = new Shelf<AgentRow>();
  readonly #owners = new Shelf<OwnerRow>();
  readonly #tombstones = new Shelf<Tombstone>();
  readonly #descriptions = new Map<string, string>();
  readonly #seen = new Map<string, number>();
  /** Jobs whose descriptions are needed. */
  readonly #described = new Set<string>();
  readonly lookup: Lookup = {
    job: (id) => this.#jobs.get(id),
    agent: (id) => this.#agents.get(id),
    owner: (id) => this.#owners.get(id),
    tombstone: (id) => this.#tombstones.get(id),
    description: (id) => this.#descriptions.get(id),
  };

  constructor(session: Session) {
    this.#session = session;
  }

  async load(commands: readonly Command[]): Promise<void> {
    for (const command of commands) if (command.kind === 'lease') this.#described.add(command.job);
    await this.#foresee(commands);
    do for (const command of commands) gather(command, this.lookup);
    while (await this.loadMissed());
  }

  /** One kind a turn: the holder of a job and whoever speaks for himself are locked at once, in the order of their ids. */
  async loadMissed(): Promise<boolean> {
    const jobs = this.#jobs.takeMissed();
    const agents = this.#agents.takeMissed();
    const owners = this.#owners.takeMissed();
    const tombstones = this.#tombstones.takeMissed();
    // A job that is being removed is gone from one table before it is in the other for us: look there second.
    const [, isMore] = await Promise.all([
      tombstones.length > 0 && jobs.length === 0 ? this.#loadTombstones(tombstones) : undefined,
      this.#loadFirst(jobs, agents, owners),
    ]);
    return isMore || tombstones.length > 0;
  }

  seenMs(agent: string): number | undefined {
    return this.#seen.get(agent);
  }

  async #loadFirst(
    jobs: readonly string[],
    agents: readonly string[],
    owners: readonly string[],
  ): Promise<boolean> {
    if (jobs.length > 0) await this.#loadJobs(jobs);
    else if (agents.length > 0) await this.#loadAgents(agents);
    else if (owners.length > 0) await this.#loadOwners(owners);
    return jobs.length + agents.length + owners.length > 0;
  }

  /** Jobs held by agents that begin anew or are revoked: known only through them, and wanted before them. */
  async #foresee(commands: readonly Command[]): Promise<void> {
    const agents = commands.flatMap((command) =>
      command.kind === 'hello' || command.kind === 'revoke' ? [command.agent] : [],
    );
    if (agents.length === 0) return;
    const found = await this.#session.run(LOCKING_STATEMENTS.peekAgents, [agents]);
    for (const { row } of found)
      for (const held of (parseRow(row) as AgentRow).held) if (held.live) this.#jobs.get(held.job);
  }

  async #loadJobs(ids: readonly string[]): Promise<void> {
    const described = ids.filter((id) => this.#described.has(id));
    const found = await this.#session.run(LOCKING_STATEMENTS.lockJobs, [ids, described]);
    for (const { id, text } of found)
      if (typeof text === 'string') this.#descriptions.set(String(id), String(parseRow(text)));
    this.#jobs.put(ids, rowsById(found));
  }

  async #loadAgents(ids: readonly string[]): Promise<void> {
    const found = await this.#session.run(LOCKING_STATEMENTS.lockAgents, [ids]);
    for (const { id, seen } of found) this.#seen.set(String(id), Number(seen));
    this.#agents.put(ids, rowsById(found));
  }

  async #loadOwners(ids: readonly string[]): Promise<void> {
    this.#owners.put(ids, rowsById(await this.#session.run(LOCKING_STATEMENTS.lockOwners, [ids])));
  }

  async #loadTombstones(ids: readonly string[]): Promise<void> {
    const found = await this.#session.run(LOCKING_STATEMENTS.tombstones, [ids]);
    this.#tombstones.put(
      ids,
      found.map((row) => {
        const id = String(row['id']);
        return [id, { id, atMs: Number(row['at']), attempt: Number(row['attempt']) }];
      }),
    );
  }
}

function rowsById(found: readonly Row[]): readonly (readonly [string, unknown])[] {
  return found.map(({ id, row }) => [String(id), parseRow(row)]);
}

/** Rows are written by the ledger alone, so one that is no JSON is damage. The caller names its type. */
export function parseRow(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch (cause) {
    throw new PostgresFault('LEDGER_CORRUPT', 'a row is no JSON', { cause });
  }
}
