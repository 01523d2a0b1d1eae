import type { Address, Bus } from '../../protocol/bindings/bus.ts';
import type { MemoryNetwork } from '../../protocol/bindings/memory.ts';

/** A frame as whoever runs the bus has it. */
export interface Carried {
  readonly from: Address;
  readonly to: Address;
  readonly frame: Uint8Array;
}

/** What is carried instead of a frame: nothing, itself, others, as many as it likes. */
export type Meddle = (carried: Carried) => readonly Carried[];

/** Whoever runs the bus: sees every frame, and has the last word on what becomes of it. */
export interface ManInTheMiddle {
  /** The network as the parties see it. */
  readonly network: MemoryNetwork;
  /** All frames that were sent, as they were. */
  readonly seen: readonly Carried[];
  /** From now on, until it is called again. */
  meddle(meddle: Meddle): void;
  /** Puts a frame on the bus in anybody's name; nobody hears it who is not there. */
  inject(carried: Carried): void;
}

const HONEST: Meddle = (carried) => [carried];

export function createManInTheMiddle(network: MemoryNetwork): ManInTheMiddle {
  const ports = new Map<Address, Bus>();
  const seen: Carried[] = [];
  let meddle = HONEST;

  function inject({ from, to, frame }: Carried): void {
    // A bus that loses is one of its powers.
    void ports
      .get(from)
      ?.send(to, new Uint8Array(frame))
      .catch(() => undefined);
  }

  function port(address: Address): Bus {
    const bus = network.bus(address);
    ports.set(address, bus);
    return {
      start: () => bus.start(),
      async send(to, frame) {
        const carried = { from: address, to, frame: new Uint8Array(frame) };
        seen.push(carried);
        for (const instead of meddle(carried)) inject(instead);
      },
      onFrame: (handler) => bus.onFrame(handler),
      onConnection: (handler) => bus.onConnection(handler),
      onGone: (handler) => bus.onGone(handler),
      stop: () => bus.stop(),
    };
  }

  return {
    network: {
      bus: port,
      setFaults: (faults, direction) => network.setFaults(faults, direction),
      partition: (addresses) => network.partition(addresses),
      kill: (address) => network.kill(address),
      revive: (address) => network.revive(address),
      disconnect: (address) => network.disconnect(address),
      reconnect: (address) => network.reconnect(address),
      get inFlight() {
        return network.inFlight;
      },
    },
    seen,
    meddle(how) {
      meddle = how;
    },
    inject,
  };
}
