import { VIRTUAL_HOST } from '../protocol/bindings/amqp-topology.ts';
import { type Address, BROKER_ADDRESS, type Bus } from '../protocol/bindings/bus.ts';
import { refuseLeaks } from '../protocol/bindings/lock-down.ts';
import { createWebSocketHub } from '../protocol/bindings/websocket-server.ts';
import type { PrivateKey, Runtime } from '../protocol/runtime/runtime.ts';
import { checkBus, type CheckedServer } from './bus-check.ts';
import type { AgentRow } from './core/state.ts';
import { createBusAccess } from './enrolment/bus-access.ts';
import { createBusServer } from './http/bus-routes.ts';
import { listen } from './http/listen.ts';
import type { BrokerProgramConfiguration, BusServerConfiguration } from './program-configuration.ts';

/** The bus a broker program serves: embedded, or a server's. */
export interface ProgramBus {
  /** Its `start` rejects with `INVALID_CONFIGURATION` where it lets agents do what they must not. */
  readonly bus: Bus;
  /** Where agents and adapters reach it. */
  url(): string;
  /** This instance's own address on it. */
  readonly address: Address;
  /** Undefined where the bus is another program's. */
  connectionCount(): number | undefined;
  /** Makes sure that the bus has room for the agent. */
  admit(agent: string): Promise<void>;
}

export interface ProgramBusOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerProgramConfiguration;
  readonly identityKey: PrivateKey;
  readonly agent: (id: string) => Promise<AgentRow | undefined>;
}

/** A bus server's client is loaded where it is used: without one a broker starts sooner. */
export async function createProgramBus(options: ProgramBusOptions): Promise<ProgramBus> {
  const { busServer } = options.configuration;
  if (busServer === undefined) return embeddedBus(options);
  const { componentUrl } = busServer;
  return componentUrl === undefined
    ? rabbitBus(options, busServer)
    : xmppBus(options, busServer, componentUrl);
}

function embeddedBus({ runtime, configuration }: ProgramBusOptions): ProgramBus {
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
  return {
    bus,
    url: () => `ws://${host}:${bus.address().port}/bus`,
    address: BROKER_ADDRESS,
    connectionCount: () => bus.connectionCount,
    admit: async () => undefined,
  };
}

const LOOPBACK = '127.0.0.1';

async function rabbitBus(
  options: ProgramBusOptions,
  { url, password }: BusServerConfiguration,
): Promise<ProgramBus> {
  const { createAmqpBrokerBus } = await import('../protocol/bindings/amqp-broker.ts');
  const { runtime, configuration } = options;
  const { instance, framesPerSecond } = configuration;
  const amqp = createAmqpBrokerBus({
    url,
    credential: { user: BROKER_ADDRESS, password },
    instance,
    framesPerSecond,
    ...runtime,
  });
  return {
    bus: guarded(options, amqp, { kind: 'amqp', url, admission: amqp }, (user) => amqp.connections(user)),
    url: () => url,
    address: amqp.address,
    connectionCount: () => undefined,
    admit: (agent) => amqp.admit(agent),
  };
}

/** The server itself keeps each agent to one connection. */
const NO_COUNT = (): number => 0;

async function xmppBus(
  options: ProgramBusOptions,
  { url, password }: BusServerConfiguration,
  componentUrl: string,
): Promise<ProgramBus> {
  const { createXmppBrokerBus } = await import('../protocol/bindings/xmpp-broker.ts');
  const { runtime, configuration } = options;
  const { instance, framesPerSecond } = configuration;
  const xmpp = createXmppBrokerBus({
    url: componentUrl,
    secret: password,
    instance,
    framesPerSecond,
    ...runtime,
  });
  return {
    bus: guarded(options, xmpp, { kind: 'xmpp', url, componentUrl }, NO_COUNT),
    url: () => url,
    address: xmpp.address,
    connectionCount: () => undefined,
    admit: async () => undefined,
  };
}

/** Answers the server's questions while the bus is up, and hands over no frame before the bus has passed its check. */
function guarded(
  options: ProgramBusOptions,
  bus: Bus,
  server: CheckedServer,
  connections: (user: string) => number,
): Bus {
  const { runtime, configuration, identityKey, agent } = options;
  const { installation, busPort } = configuration;
  const access = createBusAccess({
    runtime,
    installation,
    virtualHost: VIRTUAL_HOST,
    identityKey: identityKey.publicKey,
    agent,
    connections,
  });
  const decisions = createBusServer({ access, log: runtime.log });
  let isChecked = false;
  return {
    ...bus,
    async start() {
      await listen(decisions, LOOPBACK, busPort);
      await bus.start();
      refuseLeaks(await checkBus({ runtime, installation, identityKey, server }));
      isChecked = true;
    },
    onFrame(handler) {
      bus.onFrame((from, frame) => (isChecked ? handler(from, frame) : undefined));
    },
    async stop() {
      await bus.stop();
      await decisions.close();
    },
  };
}
