import type { BusConfiguration } from '../program-configuration.ts';
import { embeddedBus } from './embedded-bus.ts';
import { joinedBuses } from './joined-buses.ts';
import type { ProgramBus, ProgramBusOptions } from './program-bus.ts';
import { rabbitBus } from './rabbitmq-bus.ts';
import { xmppBus } from './xmpp-bus.ts';

/** A bus server's client is loaded where it is used: without one a broker starts sooner. */
export async function createProgramBus(options: ProgramBusOptions): Promise<ProgramBus> {
  const parts = await Promise.all(
    options.configuration.buses.map(async (bus) => ({ name: bus.kind, part: await oneBus(options, bus) })),
  );
  const [only, ...others] = parts;
  return only !== undefined && others.length === 0 ? only.part : joinedBuses(options, parts);
}

async function oneBus(options: ProgramBusOptions, bus: BusConfiguration): Promise<ProgramBus> {
  if (bus.kind === 'websocket') return embeddedBus(options, bus);
  const { componentUrl } = bus;
  return componentUrl === undefined ? rabbitBus(options, bus) : xmppBus(options, bus, componentUrl);
}
