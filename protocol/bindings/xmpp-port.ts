import type { Element } from '@xmpp/client';
import { CoPilotError, toCoPilotError } from '../errors.ts';
import type { Cancel, Clock, Log, Random } from '../runtime/runtime.ts';
import type { Address, Bus, FrameHandler } from './bus.ts';
import { refuseTooLarge } from './frame-size.ts';
import { Gone } from './gone.ts';
import { Inlet, type SharedBound } from './inlet.ts';
import { notStarted, OUTBOX_FRAMES, outboxFull, PortLife } from './port-life.ts';
import type { XmppConnection, XmppEvents } from './xmpp-connection.ts';
import { Questions } from './xmpp-questions.ts';
import { frameStanza, type Heard, meansNobody, pingStanza, readStanza } from './xmpp-stanza.ts';

/** What every party on an XMPP server is given. */
export interface XmppOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What tells one kind of party on an XMPP server from another. */
export interface XmppWiring {
  /** Opens a stream; `lost` is the one before, which it may take up again. */
  open(events: XmppEvents, signal: AbortSignal, lost?: XmppConnection): Promise<XmppConnection>;
  /** Where a frame for this address goes; undefined where nobody can have it. */
  jidOf(to: Address): string | undefined;
  /** Whose name the server has stamped; undefined refuses it. */
  addressOf(jid: string): Address | undefined;
  /** Whether one more frame of this party is taken now. */
  takes(from: Address): boolean;
  /** Under what address the handler is told of it, where not the one itself. */
  shownAs?(from: Address): Address;
  /** Said to a party before the first frame of each stream. */
  greeting?(jid: string): Element;
  /** Somebody says to one of our names that it came or went: whether it is there now. */
  isThere?(from: Address, name: string, word: 'came' | 'went'): boolean;
  /** This port's own stream was lost. */
  lost?(): void;
  /** Whether one that is known to be gone says so itself when it is back. */
  returnsAudibly(address: Address): boolean;
  /** Whoever is gone when this party's own stream is. */
  peers(): Iterable<Address>;
  /**
   * The server refused the login: resolves when another attempt may do better. Without it a first attempt that is refused ends
   * the port.
   */
  refused?(): Promise<void>;
  /** The domain whose server answers pings. */
  readonly domain: string;
  /** Bytes that may wait for the system to take them. */
  readonly waitingBytes: number;
  /** Bound over this port and what feeds it besides. */
  readonly shared?: SharedBound;
}

interface Live {
  readonly connection: XmppConnection;
  readonly inlet: Inlet;
  readonly greeted: Set<string>;
}

/** From its opening on, when nobody knows yet whether it will serve. */
interface Stream {
  live: Live | undefined;
  readonly early: Element[];
  lost: CoPilotError | undefined;
}

/** A stream that another one is to follow; the server may end it as soon as that one is open. */
interface Replaced {
  readonly live: Live;
  reason: CoPilotError | undefined;
}

interface Waiting {
  readonly jid: string;
  readonly frame: Uint8Array;
}

/** Stanzas that the server has not acknowledged. */
const UNACKNOWLEDGED = 1000;
/** Parties that are greeted on one stream; there are few brokers. */
const MAX_GREETED = 64;
/** Stanzas that come before a stream is open; beyond, they are lost, as on a network. */
const MAX_EARLY = 1000;
const LOOK_EVERY_MS = 10_000;
const PING_AFTER_MS = 30_000;
/** A server that is silent for so long, pings included, is gone. */
const SILENCE_MS = 45_000;
/** Handlers that run at once; beyond, the stream is not read. */
export const XMPP_HANDLERS = 64;

/** A bus over one stream to an XMPP server, which is opened again whenever it is lost. */
export class XmppPort implements Bus {
  readonly #options: XmppOptions;
  readonly #wiring: XmppWiring;
  readonly #life: PortLife;
  readonly #outbox: Waiting[] = [];
  readonly #gone = new Gone();
  readonly #questions: Questions;
  #live: Live | undefined;
  #replaced: Replaced | undefined;
  #lostConnection: XmppConnection | undefined;
  #heardMs = 0;
  #pings = 0;
  #cancelWatch: Cancel = ignore;
  #handler: FrameHandler = ignore;
  #onConnection: (state: 'up' | 'down') => void = ignore;
  #onGone: (address: Address) => void = ignore;

  constructor(options: XmppOptions, wiring: XmppWiring) {
    this.#options = options;
    this.#wiring = wiring;
    this.#life = new PortLife({
      ...options,
      connect: (signal) => this.#open(signal),
      isConnected: () => this.#live !== undefined,
      refused: wiring.refused && (() => wiring.refused?.() ?? Promise.resolve()),
    });
    this.#questions = new Questions(options.clock);
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  async send(to: Address, frame: Uint8Array): Promise<void> {
    if (!this.#life.isStarted && !this.#life.isStopping) throw notStarted();
    refuseTooLarge(frame);
    const jid = this.#wiring.jidOf(to);
    if (jid === undefined || (this.#gone.has(to) && this.#wiring.returnsAudibly(to)))
      throw new CoPilotError('UNREACHABLE', `nobody is at ${to}`);
    if (this.#live !== undefined) return this.#write(this.#live, { jid, frame });
    if (this.#life.isStopping || this.#outbox.length >= OUTBOX_FRAMES) throw outboxFull();
    this.#outbox.push({ jid, frame });
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
    return this.#life.stop(
      () => this.#live === undefined || this.#replaced !== undefined,
      () => this.#leave(),
    );
  }

  /** Asks the server itself. Rejects with `BUS_CLOSED` where no stream is there, with `UNREACHABLE` without an answer in time. */
  ask(question: (id: string) => Element): Promise<Element> {
    return this.#questions.ask(async (id) => {
      if (this.#live === undefined) throw notStarted();
      await this.#live.connection.send(question(id));
    });
  }

  /** Opens another stream, as whoever the party is now, and leaves the one that is there: nobody hears of a loss. */
  renewStream(): Promise<void> {
    const live = this.#live;
    if (!this.#life.isStarted || live === undefined) return Promise.resolve();
    if (this.#replaced !== undefined) return this.#life.connecting;
    return this.#life.beside((signal) => this.#replace(live, signal));
  }

  /** An inlet for frames that come by a stream, this port's own or another one that feeds it. */
  openInlet(connection: () => XmppConnection | undefined): Inlet {
    const { clock, log } = this.#options;
    return new Inlet({
      clock,
      handler: (from, frame) => this.#handler(from, frame),
      concurrency: XMPP_HANDLERS,
      ...(this.#wiring.shared && { shared: this.#wiring.shared }),
      flow: { pause: () => connection()?.pause(), resume: () => connection()?.resume() },
      onError: (error) => log.error({ error }, 'the handling of a frame failed'),
    });
  }

  /** Takes what came by a stream. */
  take(stanza: Element, inlet: Inlet): void {
    const sender = stanza.attrs['from'] ?? '';
    if (sender === this.#wiring.domain && this.#questions.take(stanza)) return;
    const from = this.#wiring.addressOf(sender);
    if (from !== undefined) this.#hear(from, stanza.attrs['to'] ?? '', readStanza(stanza), inlet);
  }

  #hear(from: Address, name: string, heard: Heard, inlet: Inlet): void {
    switch (heard.kind) {
      case 'frame':
        if (!this.#wiring.takes(from)) return;
        this.#gone.remove(from);
        this.#life.pauses.served();
        inlet.push(this.#wiring.shownAs?.(from) ?? from, heard.frame);
        return;
      case 'bounce':
        this.#options.log.debug({ address: from, reason: heard.reason }, 'a frame came back');
        if (meansNobody(heard.reason)) this.#tellGone(from);
        return;
      case 'came':
      case 'went':
        if (this.#wiring.isThere?.(from, name, heard.kind) === true) this.#gone.remove(from);
        else if (heard.kind === 'went') this.#tellGone(from);
        return;
      case 'nothing':
        return;
    }
  }

  #tellGone(address: Address): void {
    if (this.#gone.add(address)) this.#onGone(address);
  }

  async #write({ connection, greeted }: Live, { jid, frame }: Waiting): Promise<void> {
    const { bytes, stanzas } = connection.backlog;
    if (bytes > this.#wiring.waitingBytes || stanzas > UNACKNOWLEDGED) throw outboxFull();
    if (this.#wiring.greeting !== undefined && !greeted.has(jid) && greeted.size < MAX_GREETED) {
      greeted.add(jid);
      void connection.send(this.#wiring.greeting(jid)).catch(ignore); // the frame after it fails too
    }
    await connection.send(frameStanza(jid, frame));
  }

  async #replace(live: Live, signal: AbortSignal): Promise<void> {
    const replaced: Replaced = { live, reason: undefined };
    this.#replaced = replaced;
    try {
      await this.#open(signal);
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      this.#options.log.debug({ errorCode: code, reason: message }, 'the stream goes on under the old login');
    }
    this.#replaced = undefined;
    if (this.#live !== live) {
      live.inlet.close();
      await live.connection.close();
    } else if (replaced.reason !== undefined) this.#lost(live, replaced.reason);
  }

  async #open(signal: AbortSignal): Promise<void> {
    const stream: Stream = { live: undefined, early: [], lost: undefined };
    const inlet = this.openInlet(() => stream.live?.connection);
    const connection = await this.#wiring.open(
      {
        onBytes: () => void (this.#heardMs = this.#options.clock.monotonicMs()),
        onStanza: (stanza) => {
          if (stream.live !== undefined) this.take(stanza, inlet);
          else if (stream.early.length < MAX_EARLY) stream.early.push(stanza);
        },
        onLost: (reason) => {
          stream.lost = reason;
          this.#lost(stream.live, reason);
        },
      },
      signal,
      this.#lostConnection,
    );
    if (stream.lost !== undefined) throw stream.lost;
    if (!this.#life.isStarted) return connection.close();
    stream.live = { connection, inlet, greeted: new Set() };
    this.#serve(stream.live);
    for (const stanza of stream.early) this.take(stanza, inlet);
  }

  #serve(live: Live): void {
    const isNews = this.#live === undefined;
    this.#live = live;
    this.#lostConnection = undefined;
    this.#cancelWatch();
    this.#watch(live);
    for (const waiting of this.#outbox.splice(0))
      this.#write(live, waiting).catch((error: unknown) =>
        this.#options.log.debug({ error }, 'a frame that had waited was not taken'),
      );
    this.#life.connected();
    if (isNews) this.#onConnection('up');
  }

  #lost(live: Live | undefined, reason: CoPilotError): void {
    live?.inlet.close();
    if (live === undefined || this.#live !== live) return;
    if (this.#replaced?.live === live) {
      this.#replaced.reason = reason;
      return;
    }
    this.#live = undefined;
    this.#cancelWatch();
    this.#questions.lost();
    this.#wiring.lost?.();
    if (!this.#life.isStarted) return;
    this.#lostConnection = live.connection;
    this.#options.log.debug({ errorCode: reason.code, reason: reason.message }, 'the bus was lost');
    this.#onConnection('down');
    for (const peer of this.#wiring.peers()) this.#onGone(peer);
    this.#life.retryLater();
  }

  /** Notices a server that is there no more, though its connection seems to be. */
  #watch(live: Live): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    const look = (): void => {
      const silentMs = this.#options.clock.monotonicMs() - this.#heardMs;
      // While the stream is not read, silence is ours and not the server's.
      if (silentMs >= SILENCE_MS && !live.inlet.isPaused) {
        live.connection.cut();
        this.#lost(live, new CoPilotError('UNREACHABLE', 'the server is silent'));
        return;
      }
      if (silentMs >= PING_AFTER_MS)
        void live.connection.send(pingStanza(this.#wiring.domain, `ping-${++this.#pings}`)).catch(ignore); // it is being lost
      this.#cancelWatch = this.#options.clock.schedule(LOOK_EVERY_MS, look);
    };
    this.#cancelWatch = this.#options.clock.schedule(LOOK_EVERY_MS, look);
  }

  /** Reads nothing more, lets what runs end, its answers included, then hangs up. */
  async #leave(): Promise<void> {
    const live = this.#live;
    live?.inlet.close();
    await live?.inlet.settled();
    this.#cancelWatch();
    await live?.connection.close();
    this.#outbox.length = 0;
    this.#live = undefined;
  }
}

function ignore(): void {
  // Nobody has asked to be told.
}

/** The port as a bus, and no more of it. */
export function busOf(port: XmppPort): Bus {
  return {
    start: () => port.start(),
    send: (to, frame) => port.send(to, frame),
    onFrame: (handler) => port.onFrame(handler),
    onConnection: (handler) => port.onConnection(handler),
    onGone: (handler) => port.onGone(handler),
    stop: () => port.stop(),
  };
}
