import { globalAgent } from 'node:https';
import { WebSocket } from 'ws';
import { CoPilotError } from '../errors.ts';
import type { Cancel, Clock, Log, Random } from '../runtime/runtime.ts';
import { type Address, BROKER_ADDRESS, type Bus, type FrameHandler, MAX_FRAME_BYTES } from './bus.ts';
import { refuseTooLarge } from './frame-size.ts';
import { Inlet } from './inlet.ts';
import { ReconnectPauses } from './reconnect-pauses.ts';
import { bytesOf, REPLACED } from './websocket-frames.ts';

export interface WebSocketClientOptions {
  /** `ws:` or `wss:`, the hub's. */
  readonly url: string;
  /** For a trusted service: its name and the secret that proves it. Agents have neither. */
  readonly service?: string;
  readonly secret?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const CONNECT_WITHIN_MS = 10_000;
const CLOSE_WITHIN_MS = 1000;
/** The hub pings every 30 s; after this much silence it is gone. */
const SILENCE_MS = 75_000;
const OUTBOX_FRAMES = 64;
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const CONCURRENCY = 64;

/**
 * A bus whose one peer is the broker, by its own address or the shared one. While disconnected it keeps 64 frames and reconnects with jitter, half a second to 15 s
 * apart. `start` rejects with `NOT_AUTHORIZED` where the hub refuses the secret on the first attempt.
 */
export function createWebSocketClient(options: WebSocketClientOptions): Bus {
  return new Client(options);
}

class Client implements Bus {
  readonly #options: WebSocketClientOptions;
  readonly #outbox: Uint8Array[] = [];
  readonly #pauses: ReconnectPauses;
  #state: 'new' | 'started' | 'stopping' | 'stopped' = 'new';
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #settleStart: { resolve(): void; reject(error: CoPilotError): void } | undefined;
  #socket: WebSocket | undefined;
  #inlet: Inlet | undefined;
  #heardMs = 0;
  #cancelRetry: Cancel = ignore;
  #cancelWatch: Cancel = ignore;
  #handler: FrameHandler = ignore;
  #onConnection: (state: 'up' | 'down') => void = ignore;
  #onGone: (address: Address) => void = ignore;

  constructor(options: WebSocketClientOptions) {
    this.#options = options;
    this.#pauses = new ReconnectPauses(options);
  }

  start(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return Promise.reject(closed());
    this.#state = 'started';
    this.#starting ??= new Promise((resolve, reject) => {
      this.#settleStart = { resolve, reject };
      this.#connect();
    });
    return this.#starting;
  }

  async send(to: Address, frame: Uint8Array): Promise<void> {
    if (this.#state !== 'started' && this.#state !== 'stopping') throw closed();
    refuseTooLarge(frame);
    if (to !== BROKER_ADDRESS && !to.startsWith(`${BROKER_ADDRESS}:`))
      throw new CoPilotError('UNREACHABLE', 'over this bus only the broker can be reached');
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount <= MAX_BUFFERED_BYTES) {
      socket.send(frame, { binary: true });
      return;
    }
    if (
      this.#state === 'stopping' ||
      socket?.readyState === WebSocket.OPEN ||
      this.#outbox.length >= OUTBOX_FRAMES
    ) {
      throw new CoPilotError('BUS_CLOSED', 'the broker takes no frames now, and as many wait as may');
    }
    this.#outbox.push(frame);
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

  async #shutDown(): Promise<void> {
    this.#state = 'stopping';
    this.#cancelRetry();
    this.#settleStart?.reject(closed());
    const socket = this.#socket;
    this.#inlet?.close();
    await this.#inlet?.settled();
    this.#cancelWatch();
    this.#outbox.length = 0;
    if (socket !== undefined) await closeAndWait(socket, this.#options.clock);
    this.#state = 'stopped';
  }

  #connect(): void {
    const { secret } = this.#options;
    const socket = new WebSocket(this.#url(), {
      handshakeTimeout: CONNECT_WITHIN_MS,
      maxPayload: MAX_FRAME_BYTES,
      maxFragments: 64,
      maxBufferedChunks: 1024,
      perMessageDeflate: false,
      followRedirects: false,
      // Through the proxy that the environment names, as all that Node itself connects (docs/buses.md).
      ...(this.#options.url.startsWith('wss:') && { agent: globalAgent }),
      ...(secret !== undefined && { headers: { authorization: `Bearer ${secret}` } }),
    });
    this.#socket = socket;
    let wasOpen = false;
    socket.on('open', () => {
      wasOpen = true;
      this.#pauses.connected();
      this.#onOpen(socket);
    });
    socket.on('unexpected-response', (_request, response) => {
      this.#onRefused(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.on('error', (error) => this.#options.log.debug({ error }, 'the connection to the broker failed'));
    socket.on('close', (code) => this.#onClosed(code, wasOpen));
  }

  #url(): string {
    const url = new URL(this.#options.url);
    if (this.#options.service !== undefined) url.searchParams.set('service', this.#options.service);
    return url.href;
  }

  #onOpen(socket: WebSocket): void {
    if (this.#state !== 'started') return;
    const inlet = this.#createInlet(socket);
    this.#inlet = inlet;
    const heard = (): void => {
      this.#heardMs = this.#options.clock.monotonicMs();
    };
    heard();
    socket.on('ping', heard);
    socket.on('message', (data, isBinary) => {
      heard();
      if (!isBinary) return;
      this.#pauses.served();
      inlet.push(BROKER_ADDRESS, bytesOf(data));
    });
    this.#watch(socket, inlet);
    for (const frame of this.#outbox.splice(0)) socket.send(frame, { binary: true });
    this.#settleStart?.resolve();
    this.#settleStart = undefined;
    this.#onConnection('up');
  }

  #createInlet(socket: WebSocket): Inlet {
    const { clock, log } = this.#options;
    return new Inlet({
      clock,
      handler: (from, frame) => this.#handler(from, frame),
      concurrency: CONCURRENCY,
      flow: socket,
      onError: (error) => log.error({ error }, 'the handling of a frame failed'),
    });
  }

  #onRefused(status: number): void {
    this.#options.log.warn({ status }, 'the hub refused the connection');
    if (status !== 401 || this.#settleStart === undefined) return;
    // A wrong secret does not become right by asking again.
    this.#state = 'stopped';
    this.#settleStart.reject(
      new CoPilotError('NOT_AUTHORIZED', 'the hub refused the secret of this service'),
    );
    this.#settleStart = undefined;
  }

  #onClosed(code: number, wasOpen: boolean): void {
    this.#inlet?.close();
    this.#cancelWatch();
    this.#socket = undefined;
    if (code === REPLACED)
      this.#options.log.warn({}, 'another connection has taken the name of this service');
    if (this.#state !== 'started') return;
    if (wasOpen) {
      this.#onConnection('down');
      this.#onGone(BROKER_ADDRESS);
    }
    this.#retryLater();
  }

  #retryLater(): void {
    this.#cancelRetry = this.#options.clock.schedule(this.#pauses.nextMs(), () => {
      if (this.#state === 'started') this.#connect();
    });
  }

  #watch(socket: WebSocket, inlet: Inlet): void {
    this.#cancelWatch = this.#options.clock.schedule(SILENCE_MS / 5, () => {
      const silentMs = this.#options.clock.monotonicMs() - this.#heardMs;
      // While the socket is not read, silence is ours and not the broker's.
      if (silentMs >= SILENCE_MS && !inlet.isPaused) socket.terminate();
      else this.#watch(socket, inlet);
    });
  }
}

/** Resolves when the connection is gone, which takes a second at most. */
function closeAndWait(socket: WebSocket, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === WebSocket.CLOSED) {
      resolve();
      return;
    }
    const cancel = clock.schedule(CLOSE_WITHIN_MS, () => socket.terminate());
    socket.once('close', () => {
      cancel();
      resolve();
    });
    // A socket that is not read does not see the peer's answer.
    socket.resume();
    if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    else socket.close();
  });
}

function closed(): CoPilotError {
  return new CoPilotError('BUS_CLOSED', 'this client is not started, or has stopped');
}

function ignore(): void {
  // Nobody has asked to be told.
}
