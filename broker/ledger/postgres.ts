import { CoPilotError } from '../../protocol/errors.ts';
import type { Cancel, Clock, Log } from '../../protocol/runtime/runtime.ts';
import type { SnapshotProgress } from '../../protocol/runtime/sqlite-snapshot.ts';
import type { Command, Outcome } from '../core/command.ts';
import type { Account } from '../core/account.ts';
import type { LedgerRetention } from '../core/prune.ts';
import type { AgentRow, JobRow, JobState, OwnerRow } from '../core/state.ts';
import { accountOf } from './account-row.ts';
import { createGroupQueue, type GroupQueue } from './group-queue.ts';
import type { AgentPage, LedgerKeeping, Pruned } from './keeping.ts';
import type { JobQuery, Ledger, StoredJob } from './ledger.ts';
import type { LedgerNews, News } from './news.ts';
import { createOutageWatch, type OutageWatch, type Reading } from './outage-watch.ts';
import { createConnection, type PostgresConnection, type Row, type Session } from './postgres-connection.ts';
import {
  isConnectionLost,
  isInTheWay,
  isLockTimeout,
  PostgresFault,
  postgresError,
} from './postgres-errors.ts';
import { exportLedger } from './postgres-export.ts';
import { type GroupEnd, runGroup } from './postgres-group.ts';
import { PostgresNews } from './postgres-news.ts';
import { type PostgresPlace, placeText, schemaOf } from './postgres-place.ts';
import { PostgresPruning } from './postgres-pruning.ts';
import { parseRow } from './postgres-rows.ts';
import { LOCK, makeSchema, migrate, openingKey, UNLOCK } from './postgres-schema.ts';
import {
  beginTerm,
  type Counts,
  sumCounts,
  takenOver,
  wasCommitted,
  type Writer,
  WRITER_STATEMENTS,
  writerKey,
} from './postgres-writer.ts';
import { storedJob } from './stored-job.ts';
import { type OnGroup, watched } from './watched-group.ts';

export interface PostgresLedgerOptions {
  readonly place: PostgresPlace;
  /** Name of the broker among those that share the ledger; two of one name cannot open it. */
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The database may move to a standby: then it must wait for one with each commit, which is checked when the ledger is opened. */
  readonly failover?: boolean;
  /** Sees each group: how many commands, and how long it took until it was durable or refused. */
  readonly onGroup?: OnGroup;
  /** Another broker has taken this one's name: nothing is answered any more, and only a restart helps. */
  readonly onDeath?: () => void;
  /** Ledger time by what the database says; itself where it is left out. */
  readonly timeOf?: (databaseMs: number) => number;
}

/** Statements outside groups; a test reads their plans. */
export const QUERY_STATEMENTS = {
  job: 'SELECT row, text FROM job LEFT JOIN description USING (seq) WHERE id = $1',
  agent: 'SELECT row FROM agent WHERE id = $1',
  owner: 'SELECT row FROM owner WHERE id = $1',
  accounts: 'SELECT * FROM account WHERE key > $1 ORDER BY key LIMIT $2',
  agents: 'SELECT row FROM agent WHERE id > $1 ORDER BY id LIMIT $2',
  due: 'SELECT id FROM job WHERE deadline IS NOT NULL AND deadline < $1 ORDER BY deadline LIMIT $2',
  queued: page("state = 'queued' AND"),
  live: page('deadline IS NOT NULL AND'),
  duties: page('duty AND'),
  all: page(''),
  grace: `SELECT seq, id FROM job WHERE deadline IS NOT NULL AND seq > $1 AND (writer = $2 OR $3::boolean)
    ORDER BY seq LIMIT $4`,
} as const;

function page(where: string): string {
  return `SELECT row, (SELECT text FROM description WHERE description.seq = job.seq) AS text FROM job
    WHERE ${where} seq > coalesce((SELECT seq FROM job WHERE id = $1), 0) ORDER BY seq LIMIT $2`;
}

/**
 * Opens or creates the ledger in the database, and gives live attempts a fresh lease: all of them where no other broker is up,
 * else those that this one looked after. Rejects with `LEDGER_IN_USE`, `LEDGER_CORRUPT`, `LEDGER_UNAVAILABLE`,
 * `INVALID_CONFIGURATION` or `UNSUPPORTED`, each with the next step in its message.
 */
export async function openPostgresLedger(
  options: PostgresLedgerOptions,
): Promise<Ledger & LedgerKeeping & LedgerNews> {
  const ledger = new PostgresLedger(options);
  try {
    await ledger.open();
    return ledger;
  } catch (caught) {
    await ledger.abandon();
    throw postgresError(caught, placeText(options.place));
  }
}

/** How often others see that this broker is up, and for how long they believe it. */
const HEARTBEAT_MS = 5_000;
const ALIVE_MS = 20_000;
const GRACE_PAGE = 1_000;
/** How often a group is tried in all, where others are in its way or its connection goes. */
const MAX_TRIES = 6;
/** How often the fate of a group is asked for, and after which pause each time. */
const MAX_INQUIRIES = 30;
const INQUIRY_MS = 1_000;
/** Questions on their way to the database; beyond this they are rejected at once. Groups come one at a time. */
const MAX_QUESTIONS = 1_000;

class PostgresLedger implements Ledger, LedgerKeeping, LedgerNews {
  readonly #options: PostgresLedgerOptions;
  readonly #schema: string;
  readonly #writing: PostgresConnection;
  readonly #reading: PostgresConnection;
  readonly #news: PostgresNews;
  readonly #queue: GroupQueue;
  readonly #watch: OutageWatch;
  readonly #pruning = new PostgresPruning();
  #writer: Writer = { id: 0, term: 0, schema: '' };
  /** Ends when everything that was begun on the writing connection has. */
  #written: Promise<unknown> = Promise.resolve();
  /** Brokers that were up when this one looked last. */
  #others: ReadonlySet<number> = new Set();
  #questions = 0;
  #failure: CoPilotError | undefined;
  #closing: Promise<void> | undefined;
  #cancelHeartbeat: Cancel = () => undefined;

  constructor(options: PostgresLedgerOptions) {
    const { place, instance, clock, log, onGroup } = options;
    this.#options = options;
    this.#schema = schemaOf(place);
    this.#writing = createConnection(place, `co-pilot ${instance}`, clock);
    this.#reading = createConnection(place, `co-pilot ${instance} reads`, clock);
    this.#news = new PostgresNews({
      connection: createConnection(place, `co-pilot ${instance} news`, clock),
      schema: this.#schema,
      lock: writerKey(this.#schema, instance),
      clock,
      log,
    });
    this.#watch = createOutageWatch(clock);
    this.#queue = createGroupQueue(
      watched(clock, onGroup, (commands) => this.#inTurn(() => this.#group(commands))),
      { turn: endOfTurn },
    );
  }

  async open(): Promise<void> {
    const { instance, failover } = this.#options;
    await this.#news.open().catch((caught: unknown) => {
      throw isLockTimeout(caught) ? new PostgresFault('LEDGER_IN_USE', instance, { cause: caught }) : caught;
    });
    const session = await this.#writing.session();
    if (failover === true) await requireStandby(session);
    await session.run(LOCK, [openingKey(this.#schema)]);
    await makeSchema(session, this.#schema);
    await migrate(session, this.#schema);
    this.#writer = await beginTerm(session, this.#schema, instance);
    this.#news.ignore(this.#writer.id);
    await this.#grace(session);
    await session.run(UNLOCK, [openingKey(this.#schema)]);
    this.#heartbeatLater();
  }

  /** Closes what was opened, where opening failed. */
  async abandon(): Promise<void> {
    this.#closing ??= Promise.resolve();
    await Promise.all([this.#news.close(), this.#writing.close(), this.#reading.close()]);
  }

  apply(commands: readonly Command[]): Promise<readonly Outcome[]> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    return this.#failure === undefined ? this.#queue.apply(commands) : Promise.reject(this.#failure);
  }

  due(limit: number): Promise<readonly string[]> {
    return this.#question(async (session) => {
      const nowMs = await this.#fairNow(session);
      const found = await session.run(QUERY_STATEMENTS.due, [nowMs, limit]);
      return found.map(({ id }) => String(id));
    });
  }

  list({ kind }: JobQuery, after: string, limit: number): Promise<readonly StoredJob[]> {
    return this.#question(async (session) =>
      (await session.run(QUERY_STATEMENTS[kind], [after, limit])).map(storedOf),
    );
  }

  job(id: string): Promise<StoredJob | undefined> {
    return this.#question(
      async (session) => (await session.run(QUERY_STATEMENTS.job, [id])).map(storedOf)[0],
    );
  }

  agent(id: string): Promise<AgentRow | undefined> {
    return this.#question(async (session) => {
      const [found] = await session.run(QUERY_STATEMENTS.agent, [id]);
      return found && (parseRow(found['row']) as AgentRow);
    });
  }

  owner(id: string): Promise<OwnerRow | undefined> {
    return this.#question(async (session) => {
      const [found] = await session.run(QUERY_STATEMENTS.owner, [id]);
      return found && (parseRow(found['row']) as OwnerRow);
    });
  }

  nowMs(): Promise<number> {
    return this.#question((session) => this.#timeOn(session));
  }

  agents(after: string, limit: number): Promise<AgentPage> {
    return this.#question(async (session) => {
      const [found, nowMs] = await Promise.all([
        session.run(QUERY_STATEMENTS.agents, [after, limit]),
        this.#timeOn(session),
      ]);
      return { agents: found.map(({ row }) => parseRow(row) as AgentRow), nowMs };
    });
  }

  accounts(after: string, limit: number): Promise<readonly Account[]> {
    return this.#question(async (session) =>
      (await session.run(QUERY_STATEMENTS.accounts, [after, limit])).map(accountOf),
    );
  }

  count(): Promise<Readonly<Partial<Record<JobState, number>>>> {
    return this.#question(countOn);
  }

  prune(retention: LedgerRetention, limit: number): Promise<Pruned> {
    return this.#translated(() =>
      this.#inTurn(async () => {
        const session = await this.#writing.session();
        const [counts, nowMs] = await Promise.all([countOn(session), this.#timeOn(session)]);
        return this.#pruning.step(session, { writer: this.#writer, retention, nowMs, limit, counts });
      }),
    );
  }

  snapshot(path: string, onProgress: (progress: SnapshotProgress) => void): Promise<void> {
    return this.#translated(() => exportLedger(this.#options.place, path, onProgress));
  }

  onNews(handler: (news: News) => void): void {
    this.#news.onNews(handler);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#cancelHeartbeat();
    await this.#queue.drained();
    await this.#written;
    try {
      const session = await this.#writing.session();
      await session.run(WRITER_STATEMENTS.away, [this.#writer.id, this.#writer.term]);
    } catch {
      // The others find out by themselves, some seconds later.
    }
    await Promise.all([this.#news.close(), this.#writing.close(), this.#reading.close()]);
  }

  /** One after the other: a connection has one transaction. */
  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const result = this.#written.then(work);
    this.#written = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  async #group(commands: readonly Command[]): Promise<readonly Outcome[]> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#try(commands);
      } catch (caught) {
        if (tries >= MAX_TRIES || !(isInTheWay(caught) || isConnectionLost(caught)))
          throw this.#faultOf(caught);
      }
    }
  }

  async #try(commands: readonly Command[]): Promise<readonly Outcome[]> {
    const session = await this.#writing.session();
    let reading: Reading | undefined;
    const end = await runGroup(session, {
      writer: this.#writer,
      commands,
      timeOf: (databaseMs) => {
        reading = this.#watch.read(this.#timeOf(databaseMs));
        return this.#watch.isAfterOutage(reading) ? undefined : reading.ledgerMs;
      },
    });
    switch (end.kind) {
      case 'too-late':
        await this.#graceInOrder(session);
        return this.#try(commands);
      case 'unknown':
        if (!(await this.#cameThrough(end))) throw end.cause;
        break;
      case 'committed':
        break;
    }
    if (reading !== undefined) this.#watch.done(reading);
    return end.outcomes;
  }

  /** The connection went with the commit: the next one tells. */
  async #cameThrough({ group, cause }: Extract<GroupEnd, { kind: 'unknown' }>): Promise<boolean> {
    this.#options.log.warn({ group }, 'the connection to the ledger went during a commit');
    for (let inquiries = 1; ; inquiries += 1) {
      try {
        return await wasCommitted(await this.#writing.session(), this.#writer, group);
      } catch (caught) {
        this.#options.log.debug({ err: caught }, 'the ledger does not say yet what became of a group');
        if (inquiries >= MAX_INQUIRIES || this.#closing !== undefined)
          throw new PostgresFault('LEDGER_UNAVAILABLE', 'it does not say what became of a group', { cause });
        await this.#pause(INQUIRY_MS);
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.schedule(ms, resolve);
    });
  }

  /** After an outage, with no other broker doing the same. */
  async #graceInOrder(session: Session): Promise<void> {
    await session.run(LOCK, [openingKey(this.#schema)]);
    try {
      await this.#grace(session);
    } finally {
      await session.run(UNLOCK, [openingKey(this.#schema)]);
    }
  }

  /** Where another broker was up, agents of this one could go there; where none was, nobody could renew. */
  async #grace(session: Session): Promise<void> {
    const { id, term } = this.#writer;
    const begun = await this.#readingOn(session);
    const isAlone =
      (await session.run(WRITER_STATEMENTS.others, [id, begun.ledgerMs - ALIVE_MS])).length === 0;
    let after = 0;
    for (;;) {
      const jobs = await session.run(QUERY_STATEMENTS.grace, [after, id, isAlone, GRACE_PAGE]);
      const last = jobs.at(-1);
      if (last === undefined) break;
      await this.#graceJobs(
        session,
        jobs.map((job) => String(job['id'])),
      );
      after = Number(last['seq']);
    }
    const ended = await this.#readingOn(session);
    await session.run(WRITER_STATEMENTS.alive, [id, term, ended.ledgerMs]);
    this.#watch.done(ended);
  }

  async #graceJobs(session: Session, jobs: readonly string[]): Promise<void> {
    const end = await runGroup(session, {
      writer: this.#writer,
      commands: jobs.map((job) => ({ kind: 'grace', job })),
      timeOf: (databaseMs) => this.#timeOf(databaseMs),
    });
    if (end.kind === 'unknown') throw end.cause;
  }

  /** Ledger time at which it is right to say what is due. */
  async #fairNow(session: Session): Promise<number> {
    const reading = await this.#readingOn(session);
    if (!this.#watch.isAfterOutage(reading)) return reading.ledgerMs;
    await this.#inTurn(async () => this.#graceInOrder(await this.#writing.session()));
    return this.#timeOn(session);
  }

  async #timeOn(session: Session): Promise<number> {
    return (await this.#readingOn(session)).ledgerMs;
  }

  async #readingOn(session: Session): Promise<Reading> {
    const [found] = await session.run(WRITER_STATEMENTS.now);
    return this.#watch.read(this.#timeOf(Number(found?.['now'])));
  }

  #timeOf(databaseMs: number): number {
    return this.#options.timeOf?.(databaseMs) ?? databaseMs;
  }

  #heartbeatLater(): void {
    if (this.#closing !== undefined) return;
    this.#cancelHeartbeat = this.#options.clock.schedule(HEARTBEAT_MS, () => {
      this.#inTurn(() => this.#heartbeat())
        .catch((caught: unknown) => this.#faultOf(caught))
        .finally(() => this.#heartbeatLater());
    });
  }

  async #heartbeat(): Promise<void> {
    if (this.#closing !== undefined) return;
    this.#news.ask();
    const session = await this.#writing.session();
    const { id, term } = this.#writer;
    const before = await this.#readingOn(session);
    if (this.#watch.isAfterOutage(before)) await this.#graceInOrder(session);
    const reading = await this.#readingOn(session);
    const [self] = await session.run(WRITER_STATEMENTS.alive, [id, term, reading.ledgerMs]);
    if (self === undefined) throw takenOver();
    this.#watch.done(reading);
    await this.#lookForGone(session, reading.ledgerMs);
  }

  /** What a broker that is gone had begun is for the others to go on with. */
  async #lookForGone(session: Session, nowMs: number): Promise<void> {
    const found = await session.run(WRITER_STATEMENTS.others, [this.#writer.id, nowMs - ALIVE_MS]);
    const others = new Set(found.map(({ id }) => Number(id)));
    const isGone = [...this.#others].some((id) => !others.has(id));
    this.#others = others;
    if (isGone) this.#news.missed();
  }

  async #question<Value>(ask: (session: Session) => Promise<Value>): Promise<Value> {
    if (this.#questions >= MAX_QUESTIONS)
      throw new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger is busy: too many questions');
    this.#questions += 1;
    try {
      return await this.#translated(async () => {
        try {
          return await ask(await this.#reading.session());
        } catch (caught) {
          if (!isConnectionLost(caught)) throw caught;
          return await ask(await this.#reading.session()); // once more, on a new one
        }
      });
    } finally {
      this.#questions -= 1;
    }
  }

  async #translated<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#closing !== undefined) throw closed();
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return await work();
    } catch (caught) {
      throw this.#faultOf(caught);
    }
  }

  #faultOf(caught: unknown): CoPilotError {
    const error = postgresError(caught, placeText(this.#options.place));
    if (error.code === 'LEDGER_UNAVAILABLE') this.#watch.lost();
    if (error.code === 'LEDGER_IN_USE' && this.#failure === undefined) {
      this.#failure = error;
      this.#queue.fail(error);
      this.#options.onDeath?.();
    }
    if (this.#closing === undefined) this.#options.log.error({ code: error.code }, error.message);
    return error;
  }
}

async function countOn(session: Session): Promise<Counts> {
  const found = await session.run(WRITER_STATEMENTS.counts);
  return sumCounts(found.map(({ counts }) => parseRow(counts) as Counts));
}

function storedOf({ row, text }: Row): StoredJob {
  return storedJob(parseRow(row) as JobRow, text === null ? '' : String(parseRow(text)));
}

/** A database that may move to a standby must not have acknowledged what the standby has not. */
async function requireStandby(session: Session): Promise<void> {
  const [found] = await session.run(
    "SELECT current_setting('synchronous_standby_names') AS names, (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS standbys",
  );
  if (found?.['names'] === '')
    throw new PostgresFault(
      'INVALID_CONFIGURATION',
      'fail-over is configured and synchronous_standby_names is empty: a standby would lack what was acknowledged',
    );
  if (Number(found?.['standbys']) === 0)
    throw new PostgresFault(
      'LEDGER_UNAVAILABLE',
      'no synchronous standby is connected: every commit would wait',
    );
}

/** Whatever sockets had to say by now has been heard. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function closed(): CoPilotError {
  return new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger is closed');
}
