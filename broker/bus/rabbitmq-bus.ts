import { closeConnections } from '../../protocol/bindings/amqp-eviction.ts';
import { BROKER_ADDRESS } from '../../protocol/bindings/bus.ts';
import { evictionPassword } from '../enrolment/eviction-login.ts';
import type { BusServerConfiguration } from '../program-configuration.ts';
import { guarded, logClosed } from './guarded-bus.ts';
import { isShared } from './other-brokers.ts';
import type { ProgramBus, ProgramBusOptions } from './program-bus.ts';

/** RabbitMQ, which asks the broker about agents. */
export async function rabbitBus(
  options: ProgramBusOptions,
  { url, password, managementUrl, accessPort, publicUrl }: BusServerConfiguration,
): Promise<ProgramBus> {
  const { createAmqpBrokerBus } = await import('../../protocol/bindings/amqp-broker.ts');
  const { runtime, configuration, keys } = options;
  const { instance, framesPerSecond } = configuration;
  const amqp = createAmqpBrokerBus({
    url,
    credential: { user: BROKER_ADDRESS, password },
    instance,
    framesPerSecond,
    isAlone: !isShared(configuration),
    ...runtime,
  });
  const evict = async (agent: string): Promise<void> => {
    const credential = { user: agent, password: evictionPassword(runtime, keys.identity(), agent) };
    logClosed(runtime, agent, await closeConnections(managementUrl, credential));
  };
  return {
    bus: guarded(options, {
      bus: amqp,
      accessPort,
      server: { kind: 'amqp', url, admission: amqp },
      connections: (user) => amqp.connections(user),
      evict,
    }),
    agentUrls: () => [publicUrl ?? url],
    url: () => url,
    address: amqp.address,
    doors: undefined,
    connectionCount: () => undefined,
    admit: (agent) => amqp.admit(agent),
    evict,
  };
}
