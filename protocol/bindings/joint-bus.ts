import { CoPilotError, toCoPilotError } from '../errors.ts';
import type { Log } from '../runtime/runtime.ts';
import type { Address, Bus, ConnectionHandler, FrameHandler } from './bus.ts';
import { refuseTooLarge } from './frame-size.ts';

/** One of several buses, under a name that its addresses carry. */
export interface Door {
  /** Lower-case letters, digits and `-`; no two are the same. */
  readonly name: string;
  readonly bus: Bus;
}

export interface JointBusOptions {
  readonly doors: readonly Door[];
  /** Which doors must be up before `start` resolves, and which refusals end it: of every door, or of the last one left. */
  readonly needs: 'all' | 'one';
  readonly log: Log;
}

const BETWEEN = '!';

/** An address behind one door, as the joint bus has it. */
export function throughDoor(door: string | undefined, address: Address): Address {
  return door === undefined ? address : `${door}${BETWEEN}${address}`;
}

/** Those of some addresses of a joint bus that are behind one door, as the bus there has them. */
export function behindDoor(door: string, addresses: readonly Address[]): readonly Address[] {
  const start = throughDoor(door, '');
  return addresses
    .filter((address) => address.startsWith(start))
    .map((address) => address.slice(start.length));
}

/** The door of an address of a joint bus; undefined for one of a single bus. */
function doorOf(address: Address): string | undefined {
  const end = address.indexOf(BETWEEN);
  return end === -1 ? undefined : address.slice(0, end);
}

/**
 * Several buses as one. An address keeps the name of its door, so that an answer goes back the way the question came, and who
 * loses a connection on one bus loses nothing on another.
 */
export function createJointBus(options: JointBusOptions): Bus {
  return new JointBus(options);
}

class JointBus implements Bus {
  readonly #doors: ReadonlyMap<string, Bus>;
  readonly #needs: 'all' | 'one';
  readonly #log: Log;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #isStopped = false;
  #handler: FrameHandler = ignore;
  #onConnection: ConnectionHandler = ignore;
  #onGone: (address: Address) => void = ignore;

  constructor({ doors, needs, log }: JointBusOptions) {
    this.#doors = new Map(doors.map(({ name, bus }) => [name, bus]));
    this.#needs = needs;
    this.#log = log;
    for (const { name, bus } of doors) this.#listen(name, bus);
  }

  start(): Promise<void> {
    if (this.#stopping !== undefined) return Promise.reject(closed());
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async send(to: Address, frame: Uint8Array): Promise<void> {
    if (this.#starting === undefined || this.#isStopped) throw closed();
    refuseTooLarge(frame);
    const door = doorOf(to);
    const bus = door === undefined ? undefined : this.#doors.get(door);
    if (door === undefined || bus === undefined)
      throw new CoPilotError('UNREACHABLE', `no bus here has the address ${to}`);
    await bus.send(to.slice(door.length + BETWEEN.length), frame);
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

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  #listen(name: string, bus: Bus): void {
    bus.onFrame((from, frame) => this.#handler(throughDoor(name, from), frame));
    bus.onGone((address) => this.#onGone(throughDoor(name, address)));
    bus.onConnection((state) => {
      if (state === 'down') this.#log.warn({ bus: name }, 'the connection to a bus is lost');
      else this.#log.info({ bus: name }, 'a bus is up');
      this.#onConnection(state, name);
    });
  }

  async #start(): Promise<void> {
    const starts = [...this.#doors].map(([name, bus]) => this.#startOne(name, bus));
    if (this.#needs === 'all') await Promise.all(starts);
    else await Promise.any(starts).catch((caught: unknown) => rethrowFirst(caught));
  }

  /** A bus that cannot be served is let go; where one is enough the others go on without it. */
  async #startOne(name: string, bus: Bus): Promise<void> {
    try {
      await bus.start();
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      if (this.#stopping === undefined)
        this.#log.error({ bus: name, errorCode: code, reason: message }, 'a bus is not served');
      await bus.stop();
      throw caught;
    }
  }

  /** In the order of the doors, each to its end; what one cannot do does not hold up the next. */
  async #stop(): Promise<void> {
    const failed: unknown[] = [];
    for (const bus of this.#doors.values()) await bus.stop().catch((caught: unknown) => failed.push(caught));
    this.#isStopped = true;
    if (failed.length > 0) throw failed[0];
  }
}

function rethrowFirst(caught: unknown): never {
  throw caught instanceof AggregateError ? caught.errors[0] : caught;
}

function closed(): CoPilotError {
  return new CoPilotError('BUS_CLOSED', 'these buses are not started, or have stopped');
}

function ignore(): void {
  // Nobody has asked to be told.
}
