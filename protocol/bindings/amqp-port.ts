import type { ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import { CoPilotError } from '../errors.ts';
import type { Clock, Log, Random } from '../runtime/runtime.ts';
import { Acknowledgements } from './amqp-acknowledgements.ts';
import { channelError, connectAmqp, type Credential, cut, gatherWrites } from './amqp-connect.ts';
import { Publisher, type Route } from './amqp-publisher.ts';
import { type Address, type Bus, type FrameHandler, MAX_FRAME_BYTES } from './bus.ts';
import { refuseTooLarge } from './frame-size.ts';
import { Inlet } from './inlet.ts';
import { notStarted, OUTBOX_FRAMES, outboxFull, PortLife } from './port-life.ts';

/** A connection to an AMQP server, as every party makes one. */
export interface AmqpOptions {
  /** `amqp:` or `amqps:`; without a path it is the virtual host of the Co-Pilot. */
  readonly url: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What tells one kind of party on an AMQP server from another. */
export interface Wiring {
  credential(): Credential | Promise<Credential>;
  /** Declares what this party owns on a new connection; answers the queues it reads. */
  declare(channel: ConfirmChannel, model: ChannelModel): Promise<readonly Source[]>;
  /** Where a frame for this address goes; undefined where nobody can have it. */
  route(to: Address): Route | undefined;
  /** Whose frame it is; undefined refuses it. */
  senderOf(message: ConsumeMessage): Address | undefined;
  /** Whoever is gone when this party's own connection is. */
  peers(): Iterable<Address>;
  /**
   * The server refused login or queue: resolves when another attempt may do better. Without it a first attempt that is
   * refused ends the port.
   */
  refused?(): Promise<void>;
  /** How long somebody else may have a queue that must be this party's before `start` rejects with `CONFLICT`; for ever without it. */
  readonly conflictMs?: number;
  /** Bytes that may wait for the server's answer. */
  readonly unconfirmedBytes: number;
}

export interface Source {
  readonly queue: string;
  /** Nobody else may read it meanwhile. */
  readonly exclusive: boolean;
}

interface Live {
  readonly model: ChannelModel;
  readonly channel: ConfirmChannel;
  readonly publisher: Publisher;
  readonly inlet: Inlet;
  readonly acknowledgements: Acknowledgements;
  readonly consumers: string[];
  isOver: boolean;
}

interface Waiting {
  readonly to: Address;
  readonly route: Route;
  readonly frame: Uint8Array;
}

const CLOSE_WITHIN_MS = 1000;
/** Handlers that run at once; the server sends no more before one of them has ended. */
export const AMQP_HANDLERS = 64;

/** A bus over one connection to an AMQP server, which is made again with everything on it whenever it is lost. */
export class AmqpPort implements Bus {
  readonly #options: AmqpOptions;
  readonly #wiring: Wiring;
  readonly #life: PortLife;
  readonly #outbox: Waiting[] = [];
  #live: Live | undefined;
  #takenSinceMs: number | undefined;
  #handler: FrameHandler = ignore;
  #onConnection: (state: 'up' | 'down') => void = ignore;
  #onGone: (address: Address) => void = ignore;

  constructor(options: AmqpOptions, wiring: Wiring) {
    this.#options = options;
    this.#wiring = wiring;
    this.#life = new PortLife({
      ...options,
      connect: (signal) => this.#connect(signal),
      isConnected: () => this.#live !== undefined,
      refused: wiring.refused && (() => wiring.refused?.() ?? Promise.resolve()),
      isRefusal: (error) => this.#isTaken(error),
    });
  }

  /** The connection there is now, for what is no frame. */
  get model(): ChannelModel | undefined {
    return this.#live?.model;
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  async send(to: Address, frame: Uint8Array): Promise<void> {
    if (!this.#life.isStarted && !this.#life.isStopping) throw notStarted();
    refuseTooLarge(frame);
    const route = this.#wiring.route(to);
    if (route === undefined) throw unreachable(to);
    if (this.#live !== undefined) return this.#publish(this.#live, { to, route, frame });
    if (this.#life.isStopping || this.#outbox.length >= OUTBOX_FRAMES) throw outboxFull();
    this.#outbox.push({ to, route, frame });
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

  /** Called where the server tells that nobody is at an address any more. */
  tellGone(address: Address): void {
    this.#onGone(address);
  }

  stop(): Promise<void> {
    return this.#life.stop(
      () => this.#live === undefined,
      () => this.#leave(),
    );
  }

  async #publish(live: Live, { to, route, frame }: Waiting): Promise<void> {
    switch (await live.publisher.publish(route, frame)) {
      case 'taken':
        return;
      case 'no-route':
        this.#onGone(to);
        throw unreachable(to);
      case 'full':
        throw new CoPilotError('BUS_CLOSED', `the bus takes no more frames for ${to} now`);
      case 'lost':
        throw new CoPilotError('BUS_CLOSED', 'the connection to the bus was lost with this frame on its way');
    }
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const live = await this.#open(signal);
    if (this.#life.isStarted && !live.isOver) this.#serve(live);
    else await this.#close(live);
  }

  async #open(signal: AbortSignal): Promise<Live> {
    const { url, log } = this.#options;
    const model = await connectAmqp(url, await this.#wiring.credential(), signal);
    model.on('error', (error) => log.debug({ error }, 'the connection to the bus failed'));
    try {
      const channel = await model.createConfirmChannel();
      const gather = gatherWrites(model);
      const publisher = new Publisher(channel, this.#wiring.unconfirmedBytes, gather);
      const acknowledgements = new Acknowledgements(channel, gather);
      const inlet = this.#createInlet(acknowledgements);
      const live: Live = { model, channel, publisher, inlet, acknowledgements, consumers: [], isOver: false };
      model.on('close', () => this.#lost(live));
      // A channel ends when the server refuses something on it. There is one that counts: so does the connection.
      channel.on('error', (error) => log.warn({ error }, 'the bus refused something'));
      channel.on('close', () => this.#lost(live));
      await channel.prefetch(AMQP_HANDLERS);
      for (const { queue, exclusive } of await this.#wiring.declare(channel, model)) {
        const consumer = await channel.consume(queue, (message) => this.#take(live, message), { exclusive });
        live.consumers.push(consumer.consumerTag);
      }
      return live;
    } catch (caught) {
      await this.#hangUp(model);
      throw channelError(caught);
    }
  }

  #createInlet(acknowledgements: Acknowledgements): Inlet {
    const { clock, log } = this.#options;
    return new Inlet({
      clock,
      handler: (from, frame) => this.#handle(acknowledgements, from, frame),
      concurrency: AMQP_HANDLERS,
      onError: (error) => log.error({ error }, 'the handling of a frame failed'),
    });
  }

  /** By the frame, which is one object a message. */
  readonly #messages = new WeakMap<Uint8Array, ConsumeMessage>();

  #take(live: Live, message: ConsumeMessage | null): void {
    if (message === null) {
      this.#options.log.warn({}, 'the queue that was read is gone');
      this.#lost(live);
      return;
    }
    this.#life.pauses.served();
    live.acknowledgements.delivered(message);
    const from = hasForbiddenForm(message) ? undefined : this.#wiring.senderOf(message);
    if (from === undefined) {
      live.acknowledgements.handled(message);
      return;
    }
    const { content } = message;
    const frame = new Uint8Array(content.buffer, content.byteOffset, content.length);
    this.#messages.set(frame, message);
    live.inlet.push(from, frame);
  }

  /** Acknowledged when it has been handled, so that the server's own bound is the inlet's. */
  #handle(acknowledgements: Acknowledgements, from: Address, frame: Uint8Array): Promise<void> | undefined {
    const message = this.#messages.get(frame);
    const done = (): void => {
      if (message !== undefined) acknowledgements.handled(message);
    };
    let running: Promise<void> | undefined;
    try {
      running = this.#handler(from, frame) ?? undefined;
    } finally {
      if (running === undefined) done();
    }
    return running?.finally(done);
  }

  #serve(live: Live): void {
    this.#live = live;
    this.#takenSinceMs = undefined;
    for (const waiting of this.#outbox.splice(0))
      this.#publish(live, waiting).catch((error: unknown) =>
        this.#options.log.debug({ error }, 'a frame that had waited was not taken'),
      );
    this.#life.connected();
    this.#onConnection('up');
  }

  #lost(live: Live): void {
    if (live.isOver) return;
    live.isOver = true;
    live.inlet.close();
    if (this.#live !== live) return;
    this.#live = undefined;
    void this.#hangUp(live.model);
    if (!this.#life.isStarted) return;
    this.#onConnection('down');
    for (const peer of this.#wiring.peers()) this.#onGone(peer);
    this.#life.retryLater();
  }

  #isTaken({ code }: CoPilotError): boolean {
    const { conflictMs } = this.#wiring;
    if (code !== 'CONFLICT' || conflictMs === undefined) return false;
    const nowMs = this.#options.clock.monotonicMs();
    this.#takenSinceMs ??= nowMs;
    return nowMs - this.#takenSinceMs >= conflictMs;
  }

  async #leave(): Promise<void> {
    if (this.#live !== undefined) await this.#close(this.#live);
    this.#outbox.length = 0;
    this.#live = undefined;
  }

  /** Reads nothing more, lets what runs end, its answers included, then hangs up. */
  async #close(live: Live): Promise<void> {
    await this.#within(Promise.all(live.consumers.map((tag) => live.channel.cancel(tag))));
    live.inlet.close();
    await live.inlet.settled();
    await this.#within(live.publisher.settled());
    live.isOver = true;
    await this.#hangUp(live.model);
  }

  /** Says good-bye, for a second at most. */
  async #hangUp(model: ChannelModel): Promise<void> {
    if (!(await this.#within(model.close()))) cut(model);
  }

  /** Whether it has ended well within a second. */
  async #within(action: Promise<unknown>): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const cancel = this.#options.clock.schedule(CLOSE_WITHIN_MS, () => resolve(false));
    action.then(
      () => resolve(true),
      () => resolve(false), // it has closed already, and is cut for good
    );
    const isDone = await promise;
    cancel();
    return isDone;
  }
}

/**
 * Too large, empty, or routed by more than its key: a message with CC or BCC reaches queues that nobody asked whether its sender
 * may reach.
 */
function hasForbiddenForm({ content, properties }: ConsumeMessage): boolean {
  const headers: unknown = properties.headers;
  const names = typeof headers === 'object' && headers !== null ? Object.keys(headers) : [];
  return content.length > MAX_FRAME_BYTES || names.includes('CC') || names.includes('BCC');
}

function unreachable(to: Address): CoPilotError {
  return new CoPilotError('UNREACHABLE', `nobody is at ${to}`);
}

function ignore(): void {
  // Nobody has asked to be told.
}

/** The port as a bus, and no more of it. */
export function busOf(port: AmqpPort): Bus {
  return {
    start: () => port.start(),
    send: (to, frame) => port.send(to, frame),
    onFrame: (handler) => port.onFrame(handler),
    onConnection: (handler) => port.onConnection(handler),
    onGone: (handler) => port.onGone(handler),
    stop: () => port.stop(),
  };
}
