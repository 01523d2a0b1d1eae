import type { Cancel, Clock, Log } from '../../protocol/runtime/runtime.ts';
import type { AgentRow } from '../core/state.ts';
import type { GroupResult } from './group.ts';
import type { LedgerNews, News } from './news.ts';
import type { PostgresConnection } from './postgres-connection.ts';
import { LOCK } from './postgres-schema.ts';
import type { Writer } from './postgres-writer.ts';

/** Notifications are seen by every schema of the database; each says whose it is. */
export const CHANNEL = 'co_pilot_ledger';

/** PostgreSQL takes less than 8000 bytes. */
const MAX_PAYLOAD = 7_000;
const RECONNECT_MS = 1_000;
/** How long another program may take to let the name go, as one that is just ending does. */
const PATIENCE = '2s';

interface Payload {
  readonly schema: string;
  readonly writer: number;
  readonly queued?: readonly string[];
  readonly agents?: readonly string[];
}

/** What other brokers should know of a group, as texts to send once it is committed. `agentBefore` is the row as it was. */
export function newsTexts(
  { id: writer, schema }: Writer,
  result: GroupResult,
  agentBefore: (id: string) => AgentRow | undefined,
): readonly string[] {
  const text = (news: Pick<Payload, 'queued' | 'agents'>): string =>
    JSON.stringify({ schema, writer, ...news } satisfies Payload);
  return [
    ...pagesOf(madeAvailable(result)).map((queued) => text({ queued })),
    ...pagesOf(concernedAgents(result, agentBefore)).map((agents) => text({ agents })),
  ];
}

function madeAvailable({ jobs }: GroupResult): readonly string[] {
  return [...jobs].flatMap(([id, { before, after }]) =>
    after.state === 'queued' && before?.state !== 'queued' ? [id] : [],
  );
}

/** Those whose status is another now, and those who held what was cancelled: their session may be at another broker. */
function concernedAgents(
  { jobs, agents }: GroupResult,
  agentBefore: (id: string) => AgentRow | undefined,
): readonly string[] {
  const changed = [...agents.values()].filter(
    ({ id, status }) => status !== (agentBefore(id)?.status ?? 'active'),
  );
  const holders = [...jobs.values()].flatMap(({ before, after }) =>
    after.cancelRequested && before?.cancelRequested === false
      ? before.attempts.filter(({ state }) => state === 'live').map(({ agent }) => agent)
      : [],
  );
  return [...new Set([...changed.map(({ id }) => id), ...holders])];
}

function pagesOf(ids: readonly string[]): readonly (readonly string[])[] {
  const pages: string[][] = [];
  let bytes = Infinity;
  for (const id of ids) {
    const more = Buffer.byteLength(JSON.stringify(id)) + 1;
    bytes += more;
    if (bytes > MAX_PAYLOAD) {
      pages.push([]);
      bytes = more;
    }
    pages.at(-1)?.push(id);
  }
  return pages;
}

export interface PostgresNewsOptions {
  readonly connection: PostgresConnection;
  readonly schema: string;
  /** Held for as long as this ledger is open: nobody else writes under its name. */
  readonly lock: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Hears what other brokers on the same database did, and holds the lock of this one's name. */
export class PostgresNews implements LedgerNews {
  readonly #options: PostgresNewsOptions;
  #handler: (news: News) => void = () => undefined;
  #writer = 0;
  #isClosed = false;
  #cancel: Cancel = () => undefined;

  constructor(options: PostgresNewsOptions) {
    this.#options = options;
    options.connection.onNotice((text) => this.#heard(text));
    options.connection.onLost(() => this.#again());
  }

  /** Rejects where somebody else has the lock and keeps it. */
  async open(): Promise<void> {
    const { connection, lock } = this.#options;
    const session = await connection.session();
    await session.run(`SET lock_timeout = '${PATIENCE}'`);
    await session.run(LOCK, [lock]);
    await session.run(`LISTEN ${CHANNEL}`);
  }

  /** News of this writer are its own, and no news. */
  ignore(writer: number): void {
    this.#writer = writer;
  }

  onNews(handler: (news: News) => void): void {
    this.#handler = handler;
  }

  /** Something that must be answered: a connection that only listens would never find out that nobody speaks. */
  ask(): void {
    const { connection } = this.#options;
    connection
      .session()
      .then((session) => session.run('SELECT 1'))
      .catch(() => undefined); // a loss is seen by the connection itself
  }

  missed(): void {
    this.#handler({ kind: 'missed' });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel();
    await this.#options.connection.close();
  }

  #again(): void {
    if (this.#isClosed) return;
    this.#cancel = this.#options.clock.schedule(RECONNECT_MS, () => {
      this.open().then(
        () => this.missed(),
        () => this.#again(), // the questions of the broker meet the same fault and say it
      );
    });
  }

  #heard(text: string): void {
    const payload = payloadOf(text);
    if (payload === undefined)
      this.#options.log.warn({ channel: CHANNEL }, 'a notification was not understood');
    else if (payload.schema === this.#options.schema && payload.writer !== this.#writer) this.#tell(payload);
  }

  #tell({ queued = [], agents = [] }: Payload): void {
    if (queued.length > 0) this.#handler({ kind: 'queued', jobs: queued });
    if (agents.length > 0) this.#handler({ kind: 'agents', agents });
  }
}

/** Anybody who may log into the database may notify: what is no payload of ours is left. */
function payloadOf(text: string): Payload | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isPayload(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isPayload(value: unknown): value is Payload {
  if (typeof value !== 'object' || value === null) return false;
  const { schema, writer, queued = [], agents = [] }: { [Key in keyof Payload]?: unknown } = value;
  return typeof schema === 'string' && typeof writer === 'number' && isIds(queued) && isIds(agents);
}

function isIds(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((id) => typeof id === 'string');
}
