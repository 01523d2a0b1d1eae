import { BROKER_ADDRESS } from '../../protocol/bindings/bus.ts';
import { behindDoor, createJointBus } from '../../protocol/bindings/joint-bus.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { ProgramBus, ProgramBusOptions } from './program-bus.ts';

/** One of them, with the name that it goes by. */
export interface Part {
  readonly name: string;
  readonly part: ProgramBus;
}

/** Several buses as one. */
export function joinedBuses(
  { runtime, configuration }: ProgramBusOptions,
  parts: readonly Part[],
): ProgramBus {
  const { log } = runtime;
  const doors = parts.map(({ name, part }) => ({ name, bus: part.bus }));
  return {
    bus: createJointBus({ doors, needs: configuration.busesNeeded ?? 'all', log }),
    agentUrls: () => parts.flatMap(({ part }) => part.agentUrls()),
    url: () => parts[0]?.part.url() ?? '',
    // On a bus that has but one broker every address of a broker is that one's.
    address: parts.find(({ part }) => part.address !== BROKER_ADDRESS)?.part.address ?? BROKER_ADDRESS,
    doors: parts.map(({ name }) => name),
    connectionCount: () =>
      parts.map(({ part }) => part.connectionCount()).find((count) => count !== undefined),
    async admit(agent) {
      await Promise.all(parts.map(({ name, part }) => part.admit(agent).catch(noRoom(name))));
    },
    async evict(agent, addresses) {
      const ended = await Promise.allSettled(
        parts.map(async ({ name, part }) => part.evict?.(agent, behindDoor(name, addresses))),
      );
      for (const end of ended) if (end.status === 'rejected') throw end.reason;
    },
  };

  /** The agent comes by another bus, and renews its identity where it finds no room. */
  function noRoom(name: string): (caught: unknown) => void {
    return (caught) =>
      log.warn({ bus: name, errorCode: toCoPilotError(caught).code }, 'no room for an agent');
  }
}
