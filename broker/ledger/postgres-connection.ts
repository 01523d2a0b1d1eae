import { Socket } from 'node:net';
import pg from 'pg';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import { isConnectionLost, PostgresFault, postgresError } from './postgres-errors.ts';
import { type PostgresPlace, placeText, schemaOf } from './postgres-place.ts';
import { createSilenceWatch, type SilenceWatch } from './silence-watch.ts';

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
  /** Idempotent; whoever still waits for an answer is refused. */
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

/**
 * Connects at the first question and again after each loss. `purpose` is what the database's own lists show. With a clock, a connection
 * on which nothing comes any more is given up; without one that takes as long as the system takes.
 */
export function createConnection(place: PostgresPlace, purpose: string, clock?: Clock): PostgresConnection {
  return new Connection(place, purpose, clock);
}

class Connection implements PostgresConnection {
  readonly #place: PostgresPlace;
  readonly #purpose: string;
  readonly #clock: Clock | undefined;
  #opened: Opened | undefined;
  #opening: Promise<Session> | undefined;
  #isClosed = false;
  #onNotice: (text: string) => void = () => undefined;
  #onLost: () => void = () => undefined;

  constructor(place: PostgresPlace, purpose: string, clock: Clock | undefined) {
    this.#place = place;
    this.#purpose = purpose;
    this.#clock = clock;
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
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened === undefined) return;
    // The client would wait for what is owed, which may never come.
    if (opened.owed() > 0) opened.socket.destroy();
    else await opened.client.end().catch(() => undefined); // it was gone already
  }

  async #open(): Promise<Session> {
    const { url, password } = this.#place;
    const socket = new Socket();
    const client = new pg.Client({
      connectionString: url,
      ...(password !== undefined && { password }),
      application_name: this.#purpose,
      stream: () => socket,
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      pipeline: true,
    });
    client.on('notification', ({ payload }) => this.#onNotice(payload ?? ''));
    const lose = (): void => {
      socket.destroy();
      this.#lose(client);
    };
    const watch = this.#watchOf(lose);
    client.on('error', lose);
    client.on('end', () => {
      watch?.stop();
      lose();
    });
    let owed = 0;
    const session = sessionOf(client, lose, (change) => {
      owed += change;
      if (change > 0) watch?.asked();
      else watch?.answered();
    });
    try {
      await client.connect();
      await prepare(session, schemaOf(this.#place));
    } catch (caught) {
      socket.destroy();
      throw caught;
    }
    this.#opened = { client, socket, owed: () => owed };
    return session;
  }

  #watchOf(lose: () => void): SilenceWatch | undefined {
    const clock = this.#clock;
    if (clock === undefined) return undefined;
    // Whatever is still owed is refused, and the next question connects anew.
    return createSilenceWatch({ clock, probe: () => this.#probe(), onDead: lose });
  }

  /** Another connection, for as long as it takes to make one. */
  async #probe(): Promise<void> {
    const other = createConnection(this.#place, `${this.#purpose} probe`);
    try {
      await other.session();
    } finally {
      await other.close();
    }
  }

  #lose(client: pg.Client): void {
    if (this.#opened?.client !== client) return;
    this.#opened = undefined;
    this.#opening = undefined;
    if (!this.#isClosed) this.#onLost();
  }
}

interface Opened {
  readonly client: pg.Client;
  readonly socket: Socket;
  /** Answers that are still to come. */
  readonly owed: () => number;
}

/** `onLost` is called when a statement finds the other end gone, before whoever asked hears of it. */
function sessionOf(client: pg.Client, onLost: () => void, onOwed: (change: 1 | -1) => void): Session {
  const names = new Map<string, string>();
  const nameOf = (text: string): string => {
    const known = names.get(text) ?? `s${names.size}`;
    names.set(text, known);
    return known;
  };
  return {
    async run(text, values) {
      // Statements with values are parsed and planned once a session.
      onOwed(1);
      try {
        const { rows } =
          values === undefined
            ? await client.query<Row>(text)
            : await client.query<Row>({ name: nameOf(text), text, values: [...values] });
        return rows;
      } catch (caught) {
        if (isConnectionLost(caught)) onLost();
        throw caught;
      } finally {
        onOwed(-1);
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
