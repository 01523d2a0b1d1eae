import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { CoPilotError } from '../errors.ts';
import type { Cancel, Clock, Log, Random } from '../runtime/runtime.ts';
import { type Address, type Bus, type FrameHandler, MAX_FRAME_BYTES } from './bus.ts';
import { refuseTooLarge } from './frame-size.ts';
import { type FrameRate, Inlet, SharedBound } from './inlet.ts';
import { bytesOf, REPLACED } from './websocket-frames.ts';

/** Bounds of the hub, with their defaults. */
export interface HubLimits {
  /** Connections in all; 20,000. */
  readonly connections: number;
  /** Connections from one remote address; 2,000. */
  readonly connectionsPerIp: number;
  /** Whether that holds for the loopback addresses too; false. */
  readonly limitLoopback: boolean;
  /** Handlers that run at once for one connection; 16. Beyond, its socket is not read. */
  readonly handlersPerConnection: number;
  /** Handlers that run at once for all anonymous connections; 1,024. */
  readonly handlers: number;
  /** Frames of one connection; 200 a second, 400 at once. Beyond, its socket is not read. Services have no such bound. */
  readonly rate: FrameRate;
  /** Bytes that may wait for a slow reader before it is disconnected; 4 MiB. */
  readonly bufferedBytes: number;
  /** How often each connection is pinged; one that has shown no life since the last ping is closed; 30 s. */
  readonly pingEveryMs: number;
}

const DEFAULT_HUB_LIMITS: HubLimits = {
  connections: 20_000,
  connectionsPerIp: 2000,
  limitLoopback: false,
  handlersPerConnection: 16,
  handlers: 1024,
  rate: { perSecond: 200, burst: 400 },
  bufferedBytes: 4 * 1024 * 1024,
  pingEveryMs: 30_000,
};

export interface WebSocketHubOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Names of trusted services and the secrets that prove them, each of 16 characters or more. */
  readonly services: ReadonlyMap<string, string>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits?: Partial<HubLimits>;
}

/**
 * The embedded bus: a WebSocket server in the broker's process, at `BROKER_ADDRESS`. Clients reach nobody but the broker. One
 * without a name gets an address of its own; a trusted service, proved by its secret, the address `service.<name>`.
 */
export interface WebSocketHub extends Bus {
  /** Where it listens; throws `BUS_CLOSED` while it does not. `start` rejects with `PORT_TAKEN` where another program does. */
  address(): { readonly host: string; readonly port: number };
  readonly connectionCount: number;
  /** Closes the connection of a client without a name; nothing where there is none. */
  disconnect(address: Address): void;
}

/** Close codes of RFC 6455. */
const GOING_AWAY = 1001;
const UNSUPPORTED_DATA = 1003;
const POLICY_VIOLATION = 1008;

const CLOSE_WITHIN_MS = 1000;
const HEADERS_WITHIN_MS = 10_000;
const MAX_HEADER_BYTES = 8 * 1024;
const PEER = 'peer-';
const MIN_SECRET_LENGTH = 16;
const SERVICE_NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/;

/** A client that has connected; `isAlive` says whether it was heard since the last ping. */
interface Connection {
  readonly address: Address;
  readonly remoteIp: string;
  readonly socket: WebSocket;
  readonly inlet: Inlet;
  isAlive: boolean;
}

type Admission =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'service'; readonly name: string }
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string };

export function createWebSocketHub(options: WebSocketHubOptions): WebSocketHub {
  return new Hub(options);
}

class Hub implements WebSocketHub {
  readonly #options: WebSocketHubOptions;
  readonly #limits: HubLimits;
  readonly #server: Server;
  readonly #upgrader: WebSocketServer;
  readonly #connections = new Map<Address, Connection>();
  readonly #perIp = new Map<string, number>();
  readonly #handlers: SharedBound;
  readonly #closing = new Set<Cancel>();
  #state: 'new' | 'starting' | 'started' | 'stopping' | 'stopped' = 'new';
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #cancelPing: Cancel | undefined;
  #handler: FrameHandler = ignore;
  #onConnection: (state: 'up' | 'down') => void = ignore;
  #onGone: (address: Address) => void = ignore;

  constructor(options: WebSocketHubOptions) {
    checkServices(options.services);
    this.#options = options;
    this.#limits = { ...DEFAULT_HUB_LIMITS, ...options.limits };
    this.#handlers = new SharedBound(this.#limits.handlers);
    this.#server = createHttpServer(this.#limits.connections);
    this.#server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: MAX_FRAME_BYTES,
      maxFragments: 64,
      maxBufferedChunks: 1024,
      perMessageDeflate: false,
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  address(): { host: string; port: number } {
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string') throw closed();
    return { host: bound.address, port: bound.port };
  }

  start(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return Promise.reject(closed());
    this.#starting ??= this.#listen();
    return this.#starting;
  }

  /** Resolves as soon as the socket has the frame; a reader too slow to take it is disconnected. */
  async send(to: Address, frame: Uint8Array): Promise<void> {
    if (this.#state !== 'started' && this.#state !== 'stopping') throw closed();
    refuseTooLarge(frame);
    const connection = this.#connections.get(to);
    if (connection?.socket.readyState !== WebSocket.OPEN) {
      throw new CoPilotError('UNREACHABLE', `nobody is at ${to}`);
    }
    if (connection.socket.bufferedAmount > this.#limits.bufferedBytes) {
      this.#options.log.warn({ address: to }, 'a reader is too slow and was disconnected');
      connection.socket.terminate();
      throw new CoPilotError('UNREACHABLE', `${to} reads too slowly`);
    }
    connection.socket.send(frame, { binary: true });
  }

  disconnect(address: Address): void {
    const connection = this.#connections.get(address);
    if (connection === undefined || !address.startsWith(PEER)) return;
    this.#forget(connection);
    this.#closeSoon(connection.socket, POLICY_VIOLATION);
  }

  onFrame(handler: FrameHandler): void {
    this.#handler = handler;
  }

  onConnection(handler: (state: 'up' | 'down') => void): void {
    this.#onConnection = handler;
  }

  onGone(handler: (address: Address) => void): void {
    this.#onGone = handler;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#shutDown();
    return this.#stopping;
  }

  async #listen(): Promise<void> {
    this.#state = 'starting';
    await listen(this.#server, this.#options.host, this.#options.port);
    this.#state = 'started';
    this.#pingLater();
    this.#onConnection('up');
  }

  async #shutDown(): Promise<void> {
    await this.#starting?.catch(ignore);
    this.#state = 'stopping';
    const serverClosed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#cancelPing?.();
    const connections = [...this.#connections.values()];
    for (const { inlet } of connections) inlet.close();
    await Promise.all(connections.map(({ inlet }) => inlet.settled()));
    await Promise.all(connections.map(({ socket }) => this.#closeAndWait(socket)));
    this.#state = 'stopped';
    for (const cancel of this.#closing) cancel();
    this.#server.closeAllConnections();
    await serverClosed;
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // A socket without a listener for errors ends the process when its peer resets it.
    socket.on('error', ignore);
    const admission = this.#admit(request);
    if (admission.kind === 'refused') {
      this.#options.log.warn({ status: admission.status, remoteIp: remoteIpOf(request) }, admission.reason);
      refuse(socket, admission.status);
      return;
    }
    this.#upgrader.handleUpgrade(request, socket, head, (webSocket) => {
      socket.removeListener('error', ignore);
      if (this.#state === 'started') this.#connect(webSocket, admission, remoteIpOf(request));
      else webSocket.terminate();
    });
  }

  #admit(request: IncomingMessage): Admission {
    if (this.#state !== 'started') return { kind: 'refused', status: 503, reason: 'the hub is stopping' };
    const claim = this.#claim(request);
    if (claim.kind === 'refused') return claim;
    // A service that returns takes its own place, so that a crowd of anonymous clients does not keep it out.
    if (claim.kind === 'service') return claim;
    if (this.#connections.size >= this.#limits.connections) {
      return { kind: 'refused', status: 503, reason: 'there are as many connections as may be' };
    }
    const remoteIp = remoteIpOf(request);
    const isLimited = this.#limits.limitLoopback || !isLoopback(remoteIp);
    if (isLimited && (this.#perIp.get(remoteIp) ?? 0) >= this.#limits.connectionsPerIp) {
      return { kind: 'refused', status: 429, reason: 'one remote address has as many connections as may be' };
    }
    return claim;
  }

  /** Who the client says it is, proved where it says to be a service. */
  #claim(request: IncomingMessage): Admission {
    const name = serviceOf(request);
    const { authorization } = request.headers;
    if (name === undefined && authorization === undefined) return { kind: 'anonymous' };
    const secret = this.#options.services.get(name ?? '');
    const offered = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
    // Compared even where there is no such service: the time taken tells no names.
    const isRight = sameSecret(offered, secret ?? 'no such service');
    if (name === undefined || secret === undefined || !isRight) {
      return { kind: 'refused', status: 401, reason: 'a service was not proved' };
    }
    return { kind: 'service', name };
  }

  #connect(socket: WebSocket, admission: Exclude<Admission, { kind: 'refused' }>, remoteIp: string): void {
    const address = admission.kind === 'service' ? `service.${admission.name}` : this.#newAddress();
    const earlier = this.#connections.get(address);
    if (earlier !== undefined) {
      this.#options.log.warn({ address }, 'another connection replaces this service');
      this.#forget(earlier);
      this.#closeSoon(earlier.socket, REPLACED);
    }
    const connection: Connection = {
      address,
      remoteIp,
      socket,
      inlet: this.#createInlet(address, socket, admission.kind === 'service'),
      isAlive: true,
    };
    this.#connections.set(address, connection);
    this.#perIp.set(remoteIp, (this.#perIp.get(remoteIp) ?? 0) + 1);
    this.#listenTo(connection);
  }

  #createInlet(address: Address, socket: WebSocket, isTrusted: boolean): Inlet {
    return new Inlet({
      clock: this.#options.clock,
      handler: (from, frame) => this.#handler(from, frame),
      concurrency: this.#limits.handlersPerConnection,
      // Services neither wait for the crowd nor count with it.
      ...(!isTrusted && { rate: this.#limits.rate, shared: this.#handlers }),
      flow: socket,
      onError: (error) => this.#options.log.error({ error, address }, 'the handling of a frame failed'),
    });
  }

  #listenTo(connection: Connection): void {
    const { socket, inlet, address } = connection;
    socket.on('message', (data, isBinary) => {
      connection.isAlive = true;
      if (isBinary) inlet.push(address, bytesOf(data));
      else this.#closeSoon(socket, UNSUPPORTED_DATA);
    });
    socket.on('ping', () => {
      connection.isAlive = true;
      inlet.charge();
    });
    socket.on('pong', () => {
      connection.isAlive = true;
      inlet.charge();
    });
    socket.on('error', (error) => this.#options.log.debug({ error, address }, 'a connection failed'));
    socket.on('close', () => this.#forget(connection));
  }

  #forget(connection: Connection): void {
    if (this.#connections.get(connection.address) !== connection) return;
    this.#connections.delete(connection.address);
    connection.inlet.close();
    const left = (this.#perIp.get(connection.remoteIp) ?? 1) - 1;
    if (left === 0) this.#perIp.delete(connection.remoteIp);
    else this.#perIp.set(connection.remoteIp, left);
    this.#onGone(connection.address);
  }

  #newAddress(): Address {
    for (;;) {
      const address = `${PEER}${Buffer.from(this.#options.random.bytes(8)).toString('hex')}`;
      if (!this.#connections.has(address)) return address;
    }
  }

  /** A peer that does not answer the closing is cut off after a second. */
  #closeSoon(socket: WebSocket, code: number): void {
    socket.close(code);
    const cancel = this.#options.clock.schedule(CLOSE_WITHIN_MS, () => socket.terminate());
    this.#closing.add(cancel);
    socket.once('close', () => {
      cancel();
      this.#closing.delete(cancel);
    });
  }

  #closeAndWait(socket: WebSocket): Promise<void> {
    return new Promise((resolve) => {
      if (socket.readyState === WebSocket.CLOSED) {
        resolve();
        return;
      }
      socket.once('close', () => resolve());
      // A socket that is not read does not see the peer's answer.
      socket.resume();
      this.#closeSoon(socket, GOING_AWAY);
    });
  }

  #pingLater(): void {
    this.#cancelPing = this.#options.clock.schedule(this.#limits.pingEveryMs, () => {
      for (const connection of this.#connections.values()) this.#ping(connection);
      this.#pingLater();
    });
  }

  #ping(connection: Connection): void {
    // While its socket is not read, silence is ours and not the peer's.
    if (!connection.isAlive && !connection.inlet.isPaused) {
      connection.socket.terminate();
      return;
    }
    connection.isAlive = false;
    if (connection.socket.readyState === WebSocket.OPEN) connection.socket.ping();
  }
}

function checkServices(services: ReadonlyMap<string, string>): void {
  for (const [name, secret] of services) {
    if (!SERVICE_NAME.test(name))
      throw new CoPilotError('INTERNAL', `this is no name for a service: ${name}`);
    if (secret.length < MIN_SECRET_LENGTH) {
      throw new CoPilotError(
        'INTERNAL',
        `the secret of service ${name} has fewer than ${MIN_SECRET_LENGTH} characters`,
      );
    }
  }
}

/** Answers anything that is no upgrade with 426, and lets nobody dawdle over headers. */
function createHttpServer(connections: number): Server {
  const server = createServer(
    {
      headersTimeout: HEADERS_WITHIN_MS,
      requestTimeout: HEADERS_WITHIN_MS,
      connectionsCheckingInterval: HEADERS_WITHIN_MS / 2,
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: 1,
    },
    (_request, response) => {
      response.writeHead(426, { upgrade: 'websocket', connection: 'close', 'content-type': 'text/plain' });
      response.end('this is a WebSocket\n');
    },
  );
  // Some room above, so that services get in and others are told why they do not.
  server.maxConnections = connections + 256;
  server.on('clientError', (_error, socket) => socket.destroy());
  return server;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port));
    server.once('error', fail);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.removeListener('error', fail);
      resolve();
    });
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): CoPilotError {
  return error.code === 'EADDRINUSE'
    ? new CoPilotError('PORT_TAKEN', `another program listens on ${host}:${port}`, { cause: error })
    : new CoPilotError('BUS_CLOSED', `cannot listen on ${host}:${port}: ${error.message}`, { cause: error });
}

function refuse(socket: Duplex, status: number): void {
  const reasons: Record<number, string> = {
    401: 'Unauthorized',
    429: 'Too Many Requests',
    503: 'Service Unavailable',
  };
  socket.end(
    `HTTP/1.1 ${status} ${reasons[status] ?? 'Refused'}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    () => socket.destroy(),
  );
}

function serviceOf(request: IncomingMessage): string | undefined {
  const query = (request.url ?? '').split('?')[1] ?? '';
  return new URLSearchParams(query).get('service') ?? undefined;
}

function remoteIpOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? 'unknown';
}

function isLoopback(remoteIp: string): boolean {
  return remoteIp === '::1' || remoteIp.replace(/^::ffff:/, '').startsWith('127.');
}

/** In constant time: digests have one length whatever is offered. */
function sameSecret(offered: string, secret: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(offered), digest(secret));
}

function closed(): CoPilotError {
  return new CoPilotError('BUS_CLOSED', 'the hub does not listen');
}

function ignore(): void {
  // Nobody has asked to be told.
}
