import { BROKER_ADDRESS } from '../../protocol/bindings/bus.ts';
import { createWebSocketHub } from '../../protocol/bindings/websocket-server.ts';
import type { EmbeddedBusConfiguration } from '../program-configuration.ts';
import type { ProgramBus, ProgramBusOptions } from './program-bus.ts';

/** Of several buses, the one that is the broker's own. */
export const EMBEDDED_DOOR: EmbeddedBusConfiguration['kind'] = 'websocket';

/** The bus that the broker serves itself. */
export function embeddedBus(
  { runtime, configuration }: ProgramBusOptions,
  { publicUrl }: EmbeddedBusConfiguration,
): ProgramBus {
  const { host, busPort, framesPerSecond, services } = configuration;
  const bus = createWebSocketHub({
    host,
    port: busPort,
    services: new Map(services.map(({ name, secret }) => [name, secret])),
    clock: runtime.clock,
    random: runtime.random,
    log: runtime.log,
    limits: { rate: { perSecond: framesPerSecond, burst: 2 * framesPerSecond } },
  });
  const url = (): string => `ws://${host}:${bus.address().port}/bus`;
  return {
    bus,
    agentUrls: () => [publicUrl ?? url()],
    url,
    address: BROKER_ADDRESS,
    doors: undefined,
    connectionCount: () => bus.connectionCount,
    admit: async () => undefined,
    evict: async (_agent, addresses) => addresses.forEach((address) => bus.disconnect(address)),
  };
}
