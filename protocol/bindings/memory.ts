import { CoPilotError } from '../errors.ts';
import type { Cancel, Clock, Random } from '../runtime/runtime.ts';
import type { Address, Bus, FrameHandler } from './bus.ts';
import { refuseTooLarge } from './frame-size.ts';
import { Inlet } from './inlet.ts';

/** What a network does to frames in one direction; probabilities from 0 to 1. */
export interface Faults {
  readonly delayMs: readonly [least: number, most: number];
  readonly drop: number;
  readonly duplicate: number;
  /** How likely a frame is held back by up to `REORDER_MS` more, so that later ones overtake it. */
  readonly reorder: number;
}

/** Which frames: from one party, to one, both, or (empty) all. */
export interface Direction {
  readonly from?: Address;
  readonly to?: Address;
}

export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** Needed for faults; with a seeded one, and a clock moved by hand, runs repeat exactly. */
  readonly random?: Random;
  /** For all directions, to begin with. */
  readonly faults?: Partial<Faults>;
  /** A handler failed; without it the error ends the process, as any unhandled one. */
  onError?(error: unknown): void;
}

/**
 * A bus within one process. Frames are handed over, not copied: neither side writes to one afterwards. A party handles at most
 * 64 frames at once; 1,024 more wait for it, on the way or at its door, and beyond them `send` rejects with `UNREACHABLE`.
 */
export interface MemoryNetwork {
  /** A port for one address. A later port that starts at the same address takes it over, as a restarted process does. */
  bus(address: Address): Bus;
  /** Replaces the faults of a direction; the most exact direction counts: both ends, then `from`, then `to`, then all. */
  setFaults(faults: Partial<Faults>, direction?: Direction): void;
  /** Frames between these addresses and all others vanish until the returned function is called. */
  partition(addresses: Iterable<Address>): Cancel;
  /** The port at this address goes dead, as in a crash: no handler is called, what it sends vanishes; others are told it is gone. */
  kill(address: Address): void;
  /** A killed port works again, as a process that was stopped and continued; what was sent meanwhile is lost. */
  revive(address: Address): void;
  /** This party loses its connection: it is told `down`, and others that it is gone. */
  disconnect(address: Address): void;
  /** It has its connection again and is told `up`. */
  reconnect(address: Address): void;
  /** Frames on their way. */
  readonly inFlight: number;
}

export const REORDER_MS = 100;
const CONCURRENCY = 64;
const MAX_WAITING = 1024;
const NO_FAULTS: Faults = { delayMs: [0, 0], drop: 0, duplicate: 0, reorder: 0 };

export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  return new Network(options);
}

class Network implements MemoryNetwork {
  readonly clock: Clock;
  readonly #random: Random | undefined;
  readonly #onError: (error: unknown) => void;
  readonly #ports = new Map<Address, Port>();
  readonly #faults = new Map<string, Faults>();
  readonly #partitions = new Set<ReadonlySet<Address>>();

  constructor(options: MemoryNetworkOptions) {
    this.clock = options.clock;
    this.#random = options.random;
    this.#onError = (error) => (options.onError === undefined ? rethrow(error) : options.onError(error));
    this.setFaults(options.faults ?? {});
  }

  get inFlight(): number {
    let count = 0;
    for (const port of this.#ports.values()) count += port.onTheWay;
    return count;
  }

  bus(address: Address): Bus {
    return new Port(this, address, this.#onError);
  }

  setFaults(faults: Partial<Faults>, direction: Direction = {}): void {
    const whole = { ...NO_FAULTS, ...faults };
    const isRandom =
      whole.drop > 0 || whole.duplicate > 0 || whole.reorder > 0 || whole.delayMs[0] < whole.delayMs[1];
    if (isRandom && this.#random === undefined) throw new CoPilotError('INTERNAL', 'faults need a random');
    this.#faults.set(directionKey(direction.from, direction.to), whole);
  }

  partition(addresses: Iterable<Address>): Cancel {
    const side = new Set(addresses);
    this.#partitions.add(side);
    return () => {
      this.#partitions.delete(side);
    };
  }

  kill(address: Address): void {
    const port = this.#ports.get(address);
    if (port === undefined || port.isDead) return;
    port.die();
    this.#tellGone(address);
  }

  revive(address: Address): void {
    this.#ports.get(address)?.revive();
  }

  disconnect(address: Address): void {
    const port = this.#ports.get(address);
    if (port?.isConnected !== true) return;
    port.disconnect();
    this.#tellGone(address);
  }

  reconnect(address: Address): void {
    this.#ports.get(address)?.reconnect();
  }

  /** Called by a port that starts. */
  join(port: Port): void {
    const earlier = this.#ports.get(port.address);
    this.#ports.set(port.address, port);
    if (earlier === undefined) return;
    earlier.disconnect();
    this.#tellGone(port.address);
  }

  /** Called by a port that stops. */
  leave(port: Port): void {
    if (this.#ports.get(port.address) !== port) return;
    this.#ports.delete(port.address);
    this.#tellGone(port.address);
  }

  /** Called by a live port that sends; throws as `Bus.send` rejects. */
  carry(from: Address, to: Address, frame: Uint8Array): void {
    const receiver = this.#ports.get(to);
    if (receiver?.accepts !== true) throw new CoPilotError('UNREACHABLE', `nobody is at ${to}`);
    const faults = this.#faultsOf(from, to);
    const copies = this.#chance(faults.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#chance(faults.drop) || this.#isParted(from, to)) continue;
      receiver.expect(this.#delayMs(faults), from, frame, () => !this.#isParted(from, to));
    }
  }

  #faultsOf(from: Address, to: Address): Faults {
    const forAll = this.#faults.get(directionKey(undefined, undefined)) ?? NO_FAULTS;
    if (this.#faults.size === 1) return forAll;
    const keys = [directionKey(from, to), directionKey(from, undefined), directionKey(undefined, to)];
    for (const key of keys) {
      const faults = this.#faults.get(key);
      if (faults !== undefined) return faults;
    }
    return forAll;
  }

  #isParted(from: Address, to: Address): boolean {
    for (const side of this.#partitions) if (side.has(from) !== side.has(to)) return true;
    return false;
  }

  #delayMs(faults: Faults): number {
    const [least, most] = faults.delayMs;
    const heldBackMs = this.#chance(faults.reorder) ? REORDER_MS * this.#fraction() : 0;
    return (least < most ? least + (most - least) * this.#fraction() : least) + heldBackMs;
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#fraction() < probability;
  }

  /** From 0 up to, not including, 1. */
  #fraction(): number {
    const bytes = this.#random?.bytes(4) ?? new Uint8Array(4);
    return bytes.reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 32;
  }

  #tellGone(address: Address): void {
    for (const port of [...this.#ports.values()]) if (port.address !== address) port.tellGone(address);
  }
}

class Port implements Bus {
  readonly address: Address;
  isDead = false;
  isConnected = false;
  readonly #network: Network;
  readonly #onError: (error: unknown) => void;
  readonly #timers = new Set<Cancel>();
  #inlet: Inlet;
  #state: 'new' | 'started' | 'stopping' | 'stopped' = 'new';
  #handler: FrameHandler = ignore;
  #onConnection: (state: 'up' | 'down') => void = ignore;
  #onGone: (address: Address) => void = ignore;

  constructor(network: Network, address: Address, onError: (error: unknown) => void) {
    this.address = address;
    this.#network = network;
    this.#onError = onError;
    this.#inlet = this.#createInlet();
  }

  get accepts(): boolean {
    return this.#state === 'started' && this.isConnected && !this.isDead;
  }

  get onTheWay(): number {
    return this.#timers.size;
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    if (this.#state !== 'new') throw closed();
    this.#state = 'started';
    this.#network.join(this);
    this.isConnected = true;
    this.#onConnection('up');
  }

  async send(to: Address, frame: Uint8Array): Promise<void> {
    if (this.#state === 'new' || this.#state === 'stopped' || !this.isConnected) throw closed();
    refuseTooLarge(frame);
    if (!this.isDead) this.#network.carry(this.address, to, frame);
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

  async stop(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return this.#inlet.settled();
    this.#state = 'stopping';
    this.#dropFrames();
    await this.#inlet.settled();
    this.#state = 'stopped';
    this.#network.leave(this);
  }

  /** Called by the network: a frame is on its way here. */
  expect(delayMs: number, from: Address, frame: Uint8Array, isStillReachable: () => boolean): void {
    if (this.#timers.size + this.#inlet.waiting >= MAX_WAITING) {
      throw new CoPilotError('UNREACHABLE', `${MAX_WAITING} frames wait for ${this.address} already`);
    }
    const inlet = this.#inlet;
    const cancel = this.#network.clock.schedule(delayMs, () => {
      this.#timers.delete(cancel);
      if (isStillReachable()) inlet.push(from, frame);
    });
    this.#timers.add(cancel);
  }

  die(): void {
    this.isDead = true;
    this.#dropFrames();
  }

  revive(): void {
    if (!this.isDead) return;
    this.isDead = false;
    this.#inlet = this.#createInlet();
  }

  disconnect(): void {
    if (!this.isConnected) return;
    this.isConnected = false;
    this.#dropFrames();
    this.#inlet = this.#createInlet();
    if (!this.isDead) this.#onConnection('down');
  }

  reconnect(): void {
    if (this.isConnected || this.#state !== 'started') return;
    this.isConnected = true;
    if (!this.isDead) this.#onConnection('up');
  }

  tellGone(address: Address): void {
    if (!this.isDead && this.isConnected) this.#onGone(address);
  }

  #dropFrames(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#inlet.close();
  }

  #createInlet(): Inlet {
    return new Inlet({
      clock: this.#network.clock,
      handler: (from, frame) => this.#handler(from, frame),
      concurrency: CONCURRENCY,
      onError: this.#onError,
    });
  }
}

function directionKey(from: Address | undefined, to: Address | undefined): string {
  return `${from ?? ''}>${to ?? ''}`;
}

function closed(): CoPilotError {
  return new CoPilotError('BUS_CLOSED', 'this port is not started, or has stopped, or lost its connection');
}

function rethrow(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

function ignore(): void {
  // Nobody has asked to be told.
}
