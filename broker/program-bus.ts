import type { FastifyInstance } from 'fastify';
import { type AmqpBrokerBus, createAmqpBrokerBus } from '../protocol/bindings/amqp-broker.ts';
import { refuseLeaks } from '../protocol/bindings/amqp-probe.ts';
import { VIRTUAL_HOST } from '../protocol/bindings/amqp-topology.ts';
import { type Address, BROKER_ADDRESS, type Bus } from '../protocol/bindings/bus.ts';
import { createJointBus } from '../protocol/bindings/joint-bus.ts';
import { createWebSocketHub } from '../protocol/bindings/websocket-server.ts';
import { toCoPilotError } from '../protocol/errors.ts';
import type { PrivateKey, Runtime } from '../protocol/runtime/runtime.ts';
import { checkBus } from './bus-check.ts';
import type { AgentRow } from './core/state.ts';
import { createBusAccess } from './enrolment/bus-access.ts';
import { createBusServer } from './http/bus-routes.ts';
import { listen } from './http/listen.ts';
import type {
  BrokerProgramConfiguration,
  BusConfiguration,
  BusServerConfiguration,
  EmbeddedBusConfiguration,
} from './program-configuration.ts';

/** What a broker program serves: the embedded bus, a server's, or several joined to one. */
export interface ProgramBus {
  /** Its `start` rejects with `INVALID_CONFIGURATION` where it lets agents do what they must not. */
  readonly bus: Bus;
  /** Where agents reach it, the first to try first. */
  agentUrls(): readonly string[];
  /** Where this machine reaches the first one. */
  url(): string;
  /** This instance's own address on it. */
  readonly address: Address;
  /** Names of those that are joined; undefined where it is one alone. */
  readonly doors: readonly string[] | undefined;
  /** On the embedded bus; undefined where that is not served. */
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

export function createProgramBus(options: ProgramBusOptions): ProgramBus {
  const parts = options.configuration.buses.map((bus) => ({ name: bus.kind, part: oneBus(options, bus) }));
  const [only, ...others] = parts;
  return only !== undefined && others.length === 0 ? only.part : joined(options, parts);
}

function oneBus(options: ProgramBusOptions, bus: BusConfiguration): ProgramBus {
  return bus.kind === 'websocket' ? embeddedBus(options, bus) : rabbitBus(options, bus);
}

interface Part {
  readonly name: string;
  readonly part: ProgramBus;
}

function joined({ runtime, configuration }: ProgramBusOptions, parts: readonly Part[]): ProgramBus {
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
  };

  /** The agent comes by another bus, and renews its identity where it finds no room. */
  function noRoom(name: string): (caught: unknown) => void {
    return (caught) =>
      log.warn({ bus: name, errorCode: toCoPilotError(caught).code }, 'no room for an agent');
  }
}

function embeddedBus(
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
  };
}

const LOOPBACK = '127.0.0.1';

function rabbitBus(
  options: ProgramBusOptions,
  { url, password, accessPort, publicUrl }: BusServerConfiguration,
): ProgramBus {
  const { runtime, configuration, identityKey } = options;
  const { installation, instance, framesPerSecond } = configuration;
  const amqp = createAmqpBrokerBus({
    url,
    credential: { user: BROKER_ADDRESS, password },
    instance,
    framesPerSecond,
    ...runtime,
  });
  const decisions = createBusServer({
    access: createBusAccess({
      runtime,
      installation,
      virtualHost: VIRTUAL_HOST,
      identityKey: identityKey.publicKey,
      agent: options.agent,
      connections: (user) => amqp.connections(user),
    }),
    log: runtime.log,
  });
  return {
    bus: guarded(amqp, decisions, accessPort ?? configuration.busPort, async () =>
      refuseLeaks(await checkBus({ runtime, installation, identityKey, url, admission: amqp })),
    ),
    agentUrls: () => [publicUrl ?? url],
    url: () => url,
    address: amqp.address,
    doors: undefined,
    connectionCount: () => undefined,
    admit: (agent) => amqp.admit(agent),
  };
}

/** Answers the server's questions while the bus is up, and hands over no frame before the bus has passed its check. */
function guarded(
  amqp: AmqpBrokerBus,
  decisions: FastifyInstance,
  port: number,
  check: () => Promise<void>,
): Bus {
  let isChecked = false;
  return {
    ...amqp,
    async start() {
      await listen(decisions, LOOPBACK, port);
      await amqp.start();
      await check();
      isChecked = true;
    },
    onFrame(handler) {
      amqp.onFrame((from, frame) => (isChecked ? handler(from, frame) : undefined));
    },
    async stop() {
      await amqp.stop();
      await decisions.close();
    },
  };
}
