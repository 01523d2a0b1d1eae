import pg from 'pg';
import { isConnectionLost, PostgresFault, postgresError } from './postgres-errors.ts';
import { type PostgresPlace, placeText, schemaOf } from './postgres-place.ts';

export type Row = Readonly<Record<string, unknown>>;

/** One connection that is open. Statements go to the server at once and are answered in the order in which they were given. */
export interface Session {
  run(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

export interface PostgresConnection {
  /** The open session, or a new one. Rejects with our codes. */
  session(): Promise<Session>;
  /** Text of a notification on a channel that the session listens to. */
  onNotice(handler: (text: string) => void): void;
  /** The session ended and nobody asked it to. */
  onLost(handler: () => void): void;
  /** Idempotent; what was sent is answered first. */
  close(): Promise<void>;
}

const CONNECT_MS = 10_000;
/** A connection that carries nothing is asked after this time whether its other end is still there. */
const KEEP_ALIVE_MS = 15_000;

/**
 * What every session sets for itself. A commit waits for the disk, and for the standby where there is one: there is no limit on the
 * time of a statement, for PostgreSQL reports a commit whose wait was cut short as done. Every lookup is by a key, so no plan may
 * read a whole table, whatever the statistics say of a table that has just begun to grow.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  lock_timeout: '10s',
  idle_in_transaction_session_timeout: '15s',
  tcp_keepalives_idle: '15',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  client_min_messages: 'warning',
  jit: 'off',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
};

/** Connects at the first question and again after each loss. `purpose` is what the database's own lists show. */
export function createConnection(place: PostgresPlace, purpose: string): PostgresConnection {
  return new Connection(place, purpose);
}

class Connection implements PostgresConnection {
  readonly #place: PostgresPlace;
  readonly #purpose: string;
  #client: pg.Client | undefined;
  #opening: Promise<Session> | undefined;
  #isClosed = false;
  #onNotice: (text: string) => void = () => undefined;
  #onLost: () => void = () => undefined;

  constructor(place: PostgresPlace, purpose: string) {
    this.#place = place;
    this.#purpose = purpose;
  }

  session(): Promise<Session> {
    if (this.#isClosed) return Promise.reject(new PostgresFault('LEDGER_UNAVAILABLE', 'it is closed'));
    this.#opening ??= this.#open().catch((caught: unknown) => {
      this.#opening = undefined;
      throw postgresError(caught, placeText(this.#place));
    });
    return this.#opening;
  }

  onNotice(handler: (text: string) => void): void {
    this.#onNotice = handler;
  }

  onLost(handler: () => void): void {
    this.#onLost = handler;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening?.catch(() => undefined); // one that never opened has nothing to close
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined); // it was gone already
  }

  async #open(): Promise<Session> {
    const { url, password } = this.#place;
    const client = new pg.Client({
      connectionString: url,
      ...(password !== undefined && { password }),
      application_name: this.#purpose,
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      pipeline: true,
    });
    client.on('notification', ({ payload }) => this.#onNotice(payload ?? ''));
    client.on('error', () => this.#lose(client));
    client.on('end', () => this.#lose(client));
    const session = sessionOf(client, () => this.#lose(client));
    try {
      await client.connect();
      await prepare(session, schemaOf(this.#place));
    } catch (caught) {
      void client.end().catch(() => undefined); // half open: why it failed is what counts
      throw caught;
    }
    this.#client = client;
    return session;
  }

  #lose(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#opening = undefined;
    void client.end().catch(() => undefined); // the other end is gone
    if (!this.#isClosed) this.#onLost();
  }
}

/** `onLost` is called when a statement finds the other end gone, before whoever asked hears of it. */
function sessionOf(client: pg.Client, onLost: () => void): Session {
  const names = new Map<string, string>();
  const nameOf = (text: string): string => {
    const known = names.get(text) ?? `s${names.size}`;
    names.set(text, known);
    return known;
  };
  return {
    async run(text, values) {
      // Statements with values are parsed and planned once a session.
      try {
        const { rows } =
          values === undefined
            ? await client.query<Row>(text)
            : await client.query<Row>({ name: nameOf(text), text, values: [...values] });
        return rows;
      } catch (caught) {
        if (isConnectionLost(caught)) onLost();
        throw caught;
      }
    },
  };
}

async function prepare(session: Session, schema: string): Promise<void> {
  const [server] = await session.run(
    "SELECT pg_is_in_recovery() AS standby, current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages, current_setting('synchronous_commit') AS synchronous",
  );
  if (server?.['standby'] !== false)
    throw new PostgresFault('LEDGER_UNAVAILABLE', 'the server is a standby that nobody has promoted');
  for (const [setting, name] of [
    ['fsync', 'fsync'],
    ['pages', 'full_page_writes'],
  ] as const)
    if (server[setting] !== 'on')
      throw new PostgresFault(
        'INVALID_CONFIGURATION',
        `${name} is off: a power cut would destroy the ledger`,
      );
  const synchronous = server['synchronous'] === 'remote_apply' ? 'remote_apply' : 'on';
  const settings = {
    ...SETTINGS,
    synchronous_commit: synchronous,
    search_path: `"${schema.replaceAll('"', '""')}"`,
  };
  await session.run(
    'SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS setting (name, value)',
    [Object.keys(settings), Object.values(settings)],
  );
}
