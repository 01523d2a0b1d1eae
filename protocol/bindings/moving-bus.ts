import { CoPilotError, toCoPilotError } from '../errors.ts';
import type { Cancel, Clock, Log, Random } from '../runtime/runtime.ts';
import type { AmqpAgentBus } from './amqp-agent.ts';
import { type Address, BROKER_ADDRESS, type ConnectionHandler, type FrameHandler } from './bus.ts';
import { ReconnectPauses } from './reconnect-pauses.ts';

export interface MovingBusOptions {
  /** Where buses are, as the enrolment said last: at least one, the first to try first. */
  readonly urls: () => readonly string[];
  /** Makes the bus at one of them; rejects where it must not be used. */
  readonly open: (url: string) => Promise<AmqpAgentBus>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The bus of an agent that may have several, of which it is on one at a time. */
export interface MovingBus extends AmqpAgentBus {
  /** A session is there: the bus leads to a broker. */
  served(): void;
}

/** How long a bus has to lead to a broker; twice that each time none of them did. */
const PATIENCE_MS = 5_000;
const LONGEST_PATIENCE_MS = 20_000;
/** Kind of the frame that begins a handshake. */
const HELLO_FRAME = 1;

/**
 * Takes the buses in turn, from the first on: it leaves one whose connection is lost, or by which no session comes in time, and
 * stays with one that works. Where there is but one, that one's own attempts to come back count. `start` rejects where no address
 * may be used.
 */
export function createMovingBus(options: MovingBusOptions): MovingBus {
  return new Mover(options);
}

/** Being on one bus, from the attempt to come there on. */
interface Stay {
  readonly url: string;
  bus: AmqpAgentBus | undefined;
  isUp: boolean;
  isOver: boolean;
}

class Mover implements MovingBus {
  readonly #options: MovingBusOptions;
  readonly #pauses: ReconnectPauses;
  readonly #leaving = new Set<Promise<void>>();
  #state: 'new' | 'started' | 'stopped' = 'new';
  readonly #started = Promise.withResolvers<undefined>();
  #hasStarted = false;
  #stopping: Promise<void> | undefined;
  #stay: Stay | undefined;
  #opening: Promise<void> = Promise.resolve();
  /** Buses tried since the last session. */
  #tried = 0;
  /** Addresses one after the other that must not be used. */
  #refusals = 0;
  #isWaiting = false;
  #cancelWait: Cancel = ignore;
  #cancelPause: Cancel = ignore;
  #handler: FrameHandler = ignore;
  #onConnection: ConnectionHandler = ignore;
  #onGone: (address: Address) => void = ignore;

  constructor(options: MovingBusOptions) {
    this.#options = options;
    this.#pauses = new ReconnectPauses(options);
  }

  start(): Promise<void> {
    if (this.#state === 'stopped') return Promise.reject(closed());
    if (this.#state === 'new') {
      this.#state = 'started';
      this.#enter(this.#options.urls()[0] ?? '');
    }
    return this.#started.promise;
  }

  async send(to: Address, frame: Uint8Array): Promise<void> {
    const bus = this.#stay?.bus;
    if (this.#state !== 'started' || bus === undefined) throw closed();
    if (frame[0] === HELLO_FRAME && this.#stay?.isUp === true) this.#expectSession();
    await bus.send(to, frame);
  }

  onFrame(handler: FrameHandler): void {
    this.#handler = handler;
  }

  onConnection(handler: ConnectionHandler): void {
    this.#onConnection = handler;
  }

  onGone(handler: (address: Address) => void): void {
    this.#onGone = handler;
  }

  served(): void {
    this.#tried = 0;
    this.#pauses.served();
    this.#stopWaiting();
  }

  async identityRenewed(): Promise<void> {
    const stay = this.#stay;
    // Whoever gives addresses takes them back too.
    if (stay !== undefined && !this.#options.urls().includes(stay.url)) this.#leave(stay, 'given up');
    else await stay?.bus?.identityRenewed();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#state = 'stopped';
    this.#stopWaiting();
    this.#cancelPause();
    this.#started.promise.catch(ignore);
    this.#started.reject(closed());
    await this.#opening;
    await this.#stay?.bus?.stop();
    await Promise.all(this.#leaving);
  }

  #enter(url: string): void {
    const stay: Stay = { url, bus: undefined, isUp: false, isOver: false };
    this.#stay = stay;
    this.#opening = this.#open(stay);
  }

  async #open(stay: Stay): Promise<void> {
    let bus: AmqpAgentBus;
    try {
      bus = await this.#options.open(stay.url);
    } catch (caught) {
      this.#refused(stay, toCoPilotError(caught));
      return;
    }
    this.#refusals = 0;
    stay.bus = bus;
    if (this.#state !== 'started' || stay.isOver) return;
    bus.onFrame((from, frame) => (stay.isOver ? undefined : this.#handler(from, frame)));
    bus.onGone((address) => {
      if (!stay.isOver) this.#onGone(address);
    });
    bus.onConnection((state) => this.#changed(stay, state));
    this.#expectSession();
    bus.start().then(
      () => this.#arrived(stay),
      (caught: unknown) => this.#failed(stay, toCoPilotError(caught)),
    );
  }

  /** Not every bus says that it is up when that was so from the beginning. */
  #arrived(stay: Stay): void {
    if (!stay.isOver && !stay.isUp) this.#changed(stay, 'up');
  }

  #changed(stay: Stay, state: 'up' | 'down'): void {
    if (stay.isOver || stay.isUp === (state === 'up')) return;
    if (state === 'down' && this.#hasOther(stay)) {
      this.#leave(stay, 'lost');
      return;
    }
    stay.isUp = state === 'up';
    if (stay.isUp) this.#pauses.connected();
    this.#hasStarted = true;
    this.#started.resolve(undefined);
    this.#onConnection(state);
  }

  #refused(stay: Stay, error: CoPilotError): void {
    this.#options.log.warn({ errorCode: error.code, reason: error.message }, 'a bus must not be used');
    this.#refusals += 1;
    if (this.#refusals < this.#options.urls().length || this.#hasStarted) {
      this.#leave(stay, 'refused');
      return;
    }
    this.#state = 'stopped';
    this.#started.reject(error);
  }

  #failed(stay: Stay, error: CoPilotError): void {
    if (stay.isOver || this.#state !== 'started') return;
    if (this.#hasOther(stay)) this.#leave(stay, error.code);
    else this.#started.reject(error);
  }

  #hasOther({ url }: Stay): boolean {
    return this.#options.urls().some((other) => other !== url);
  }

  #expectSession(): void {
    const stay = this.#stay;
    if (this.#isWaiting || stay === undefined) return;
    this.#isWaiting = true;
    const rounds = Math.floor(this.#tried / Math.max(1, this.#options.urls().length));
    const patienceMs = Math.min(LONGEST_PATIENCE_MS, PATIENCE_MS * 2 ** rounds);
    this.#cancelWait = this.#options.clock.schedule(patienceMs, () => {
      this.#isWaiting = false;
      if (this.#hasOther(stay)) this.#leave(stay, 'silent');
    });
  }

  #stopWaiting(): void {
    this.#isWaiting = false;
    this.#cancelWait();
  }

  #leave(stay: Stay, reason: string): void {
    if (stay.isOver || this.#state !== 'started') return;
    stay.isOver = true;
    this.#stopWaiting();
    this.#tried += 1;
    const next = this.#after(stay.url);
    this.#options.log.warn({ from: placeOf(stay.url), to: placeOf(next), reason }, 'moving to another bus');
    this.#letGo(stay);
    this.#stay = undefined;
    if (stay.isUp) {
      this.#onConnection('down');
      this.#onGone(BROKER_ADDRESS);
    }
    this.#cancelPause = this.#options.clock.schedule(this.#pauses.nextMs(), () => this.#enter(next));
  }

  /** In the background: the next one is not kept waiting by the farewell from this one. */
  #letGo({ bus }: Stay): void {
    if (bus === undefined) return;
    const gone = bus
      .stop()
      .catch((error: unknown) =>
        this.#options.log.debug({ error }, 'a bus that was left did not stop cleanly'),
      )
      .finally(() => this.#leaving.delete(gone));
    this.#leaving.add(gone);
  }

  /** In a circle; from an address that is none any more, the first. */
  #after(url: string): string {
    const urls = this.#options.urls();
    return urls[(urls.indexOf(url) + 1) % urls.length] ?? url;
  }
}

/** As much of an address as belongs in a log. */
function placeOf(url: string): string {
  const found = URL.parse(url);
  return found === null ? 'no address' : `${found.protocol}//${found.host}`;
}

function closed(): CoPilotError {
  return new CoPilotError('BUS_CLOSED', 'the agent is on no bus now');
}

function ignore(): void {
  // Nobody has asked to be told.
}
