import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, rootCertificates } from 'node:tls';
import type { Connection } from 'mariadb';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { BoincProject } from './boinc-project.ts';

export interface MariadbPlace {
  /** `mariadb://user@host:port/database`, or with `?socket=` and a path. */
  readonly url: string;
  readonly password?: string;
  /** Who vouches for the server, as PEM; those that Node knows where it is left out. */
  readonly caFile?: string;
}

export interface MariadbOptions {
  readonly place: MariadbPlace;
  readonly log: Log;
  /** How long each step may take. */
  readonly patienceMs?: number;
}

/** Views that docs/boinc.md makes. */
const USER = 'SELECT strong, weak, banished_until FROM co_pilot_user WHERE id = ?';
const HOST = 'SELECT userid, rpc_seqno, max_results_day FROM co_pilot_host WHERE id = ?';
const PATIENCE_MS = 3_000;
const AT_ONCE = 4;
const MAX_WAITING = 64;
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/;

/**
 * A project in MariaDB or MySQL. An enrolment is rare: each question has a connection of its own, a few at once, so that nothing is held
 * open and nothing has to be found broken. Off this machine it is TLS or nothing.
 */
export function createMariadbBoincProject(options: MariadbOptions): BoincProject {
  const turns = createTurns();
  const ask = (sql: string, id: number): Promise<Row | undefined> =>
    turns(() => askOnce(options, sql, id)).catch((caught: unknown) => {
      options.log.warn({ reason: reasonOf(caught) }, 'the database of the BOINC project did not answer');
      throw new CoPilotError(
        'ENROLMENT_UNAVAILABLE',
        'who you are cannot be checked at the moment; try again',
      );
    });
  return {
    async user(id) {
      const row = await ask(USER, id);
      return (
        row && {
          strong: String(row['strong']),
          weak: String(row['weak']),
          banishedUntil: Number(row['banished_until']),
        }
      );
    },
    async host(id) {
      const row = await ask(HOST, id);
      return (
        row && {
          user: Number(row['userid']),
          sequence: Number(row['rpc_seqno']),
          maxResultsDay: Number(row['max_results_day']),
        }
      );
    },
  };
}

type Row = Readonly<Record<string, unknown>>;

async function askOnce(options: MariadbOptions, sql: string, id: number): Promise<Row | undefined> {
  const connection = await connect(options);
  try {
    const rows = await connection.query<readonly Row[]>(sql, [id]);
    await connection.end();
    return rows[0];
  } catch (caught) {
    connection.destroy();
    throw caught;
  }
}

async function connect({ place, patienceMs = PATIENCE_MS }: MariadbOptions): Promise<Connection> {
  const { hostname, port, username, pathname, searchParams } = new URL(place.url);
  const socketPath = searchParams.get('socket');
  const isHere = socketPath !== null || LOOPBACK.test(hostname);
  // Loaded where it is used: most brokers never do.
  const { createConnection } = await import('mariadb');
  const isSealed = place.caFile !== undefined || !isHere;
  const connection = await createConnection({
    ...(socketPath === null
      ? { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 3306) }
      : { socketPath }),
    user: decodeURIComponent(username),
    database: pathname.slice(1),
    ...(place.password !== undefined && { password: place.password }),
    ...(isSealed && { ssl: await sealedBy(place, hostname) }),
    connectTimeout: patienceMs,
    socketTimeout: patienceMs,
    // A server that was taken over reads no file of ours, and learns nothing about us.
    permitLocalInfile: false,
    connectAttributes: false,
    logParam: false,
    trace: false,
  });
  connection.on('error', () => undefined); // whoever waits for an answer is told
  return connection;
}

/** The server shows a certificate for the name that it was asked by: left alone, the driver asks for other things, version by version. */
async function sealedBy({ caFile }: MariadbPlace, hostname: string) {
  return {
    rejectUnauthorized: true,
    ca: caFile === undefined ? [...rootCertificates] : await readFile(caFile, 'utf8'),
    ...(isIP(hostname) === 0 && { servername: hostname }),
    checkServerIdentity: (_: string, certificate: PeerCertificate) =>
      checkServerIdentity(hostname.replace(/^\[|\]$/g, ''), certificate),
  };
}

/** A few at once, and a bounded number that wait. */
function createTurns(): <T>(action: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (action) => {
    if (running >= AT_ONCE) {
      if (waiting.length >= MAX_WAITING) throw new Error(`${MAX_WAITING} wait for it already`);
      await new Promise<void>((turn) => waiting.push(turn));
    } else running += 1;
    try {
      return await action();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

/** What an operator can use; a driver's message may show more than that. */
function reasonOf(caught: unknown): string {
  if (!(caught instanceof Error)) return 'unknown';
  const code = 'code' in caught ? String(caught.code) : caught.name;
  const text =
    'sqlMessage' in caught && typeof caught.sqlMessage === 'string' ? caught.sqlMessage : caught.message;
  return `${code}: ${text}`.slice(0, 300);
}
