import { createServer as createPlainServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Cancel, Clock, Random } from '../../../protocol/runtime/runtime.ts';
import { createTaskQueue, type TaskQueue } from '../alien/task-queue.ts';
import { type Outcome, runCommand } from './commands.ts';
import { createFileCatalogue, type FileCatalogue } from './file-catalogue.ts';
import { startStorageDouble, type StorageDouble } from './storage.ts';

/** What goes wrong with replies, until it is changed. */
export interface ReplyFaults {
  /** The connection ends once the command was done. */
  readonly lost: boolean;
  /** The same reply comes twice. */
  readonly twice: boolean;
  /** Half of it comes, as a whole message. */
  readonly half: boolean;
  /** Nothing comes. */
  readonly hang: boolean;
  /** Nothing is done, and exitcode 0 comes. */
  readonly liar: boolean;
}

export interface JalienDoubleOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly form?: '2022' | '2026';
  readonly user?: string;
  readonly quota?: number;
  /** With it only who has a certificate of this authority is let in; without it the connection is not encrypted. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
  /** Of storages by their names; two of its own over HTTP where it is left out. */
  readonly storages?: Readonly<Record<string, string>>;
}

export interface JalienDouble {
  readonly url: string;
  readonly queue: TaskQueue;
  readonly files: FileCatalogue;
  readonly storage: StorageDouble;
  readonly commands: readonly { readonly command: string; readonly options: readonly string[] }[];
  sessions(): number;
  setFaults(faults: Partial<ReplyFaults>): void;
  stop(): Promise<void>;
}

const IDLE_MS = 900_000;
const LIFE_MS = 172_800_000;
const TRY_AGAIN_LATER = 1013;
const NO_FAULTS: ReplyFaults = { lost: false, twice: false, half: false, hang: false, liar: false };
/** What the dispatcher takes out of any command's options. */
const DISPATCHED = /^-(?:pwd=.*|debug=.*|silent|nomsg|nokeys)$/;

/** The WebSocket of a JAliEn central service with its queue, catalogue and storage. */
export async function startJalienDouble(options: JalienDoubleOptions): Promise<JalienDouble> {
  const { clock, form = '2022', user = 'vol', quota, tls } = options;
  const queue = createTaskQueue({ ...options, generation: 'jalien' });
  const storage = await startStorageDouble(() => files.envelopes);
  const own = { 'ALICE::NIHAM::FILE': `${storage.url}/niham`, 'ALICE::CERN::EOS': `${storage.url}/cern` };
  const files = createFileCatalogue({
    clock,
    storages: options.storages ?? own,
    ...(quota !== undefined && { quota }),
    stored: (turl) => storage.stored(turl),
  });
  const commands: { command: string; options: readonly string[] }[] = [];
  let faults = NO_FAULTS;
  const world = { queue, files, user, form };

  const replyTo = (text: string): string => {
    const asked = askedIn(text);
    if (asked === undefined)
      return JSON.stringify({ metadata: { exitcode: '-1', error: 'Incoming JSON not ok' }, results: [] });
    commands.push(asked);
    const plain = asked.options.filter((option) => !DISPATCHED.test(option));
    const outcome = faults.liar
      ? { exitcode: 0, error: '', rows: [] }
      : runCommand(world, asked.command, plain);
    return written(outcome, asked.options, user);
  };

  const serve = (socket: WebSocket): void => {
    let cancelIdle: Cancel = () => undefined;
    const cancelLife = clock.schedule(LIFE_MS, () => socket.close(TRY_AGAIN_LATER, 'Session timed out'));
    const rest = (): void => {
      cancelIdle();
      cancelIdle = clock.schedule(IDLE_MS, () => socket.close(TRY_AGAIN_LATER, 'Session timed out'));
    };
    rest();
    // Commands are taken one by one: nothing here waits, so replies are in order.
    socket.on('message', (data: Buffer) => {
      rest();
      const reply = replyTo(data.toString('utf8'));
      if (faults.hang) return;
      if (faults.lost) return socket.terminate();
      socket.send(faults.half ? reply.slice(0, reply.length / 2) : reply);
      if (faults.twice) socket.send(reply);
    });
    socket.once('close', () => {
      cancelIdle();
      cancelLife();
    });
    socket.on('error', () => undefined);
  };

  const server =
    tls === undefined
      ? createPlainServer()
      : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false });
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: true,
    maxPayload: 4 * 1024 * 1024,
  });
  server.on('upgrade', (request, socket, head) => {
    const isKnown = tls === undefined || (request.socket instanceof TLSSocket && request.socket.authorized);
    if (!isKnown)
      return void socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    if (request.url !== '/websocket/json')
      return void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
    sockets.handleUpgrade(request, socket, head, serve);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'ws' : 'wss'}://localhost:${port}/websocket/json`.replace(
      'ws://localhost',
      'ws://127.0.0.1',
    ),
    queue,
    files,
    storage,
    commands,
    sessions: () => sockets.clients.size,
    setFaults(next) {
      faults = { ...faults, ...next };
    },
    async stop() {
      queue.stop();
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await storage.stop();
    },
  };
}

function askedIn(
  text: string,
): { readonly command: string; readonly options: readonly string[] } | undefined {
  try {
    const value = JSON.parse(text) as { readonly command?: unknown; readonly options?: unknown } | null;
    if (typeof value?.command !== 'string') return undefined;
    const options = Array.isArray(value.options) ? value.options.map(String) : [];
    return { command: value.command, options };
  } catch {
    return undefined;
  }
}

/** Exactly the reply of the server: every value of `metadata` is a string. */
function written({ exitcode, error, rows }: Outcome, options: readonly string[], user: string): string {
  const home = `/alice/cern.ch/user/${user.charAt(0)}/${user}/`;
  const results = rows.map((row) => {
    const { message, ...keys } = row;
    const said = message === undefined ? {} : { message: message.replace(/\n+$/, '') };
    if (options.includes('-nokeys')) return said;
    return options.includes('-nomsg') ? keys : { ...keys, ...said };
  });
  return JSON.stringify({ metadata: { exitcode: String(exitcode), error, user, currentdir: home }, results });
}
