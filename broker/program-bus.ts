import { createAmqpBrokerBus } from '../protocol/bindings/amqp-broker.ts';
import { closeConnections } from '../protocol/bindings/amqp-eviction.ts';
import { VIRTUAL_HOST } from '../protocol/bindings/amqp-topology.ts';
import { type Address, BROKER_ADDRESS, type Bus } from '../protocol/bindings/bus.ts';
import { refuseLeaks } from '../protocol/bindings/lock-down.ts';
import { createWebSocketHub } from '../protocol/bindings/websocket-server.ts';
import { createXmppBrokerBus } from '../protocol/bindings/xmpp-broker.ts';
import { CoPilotError, toCoPilotError } from '../protocol/errors.ts';
import type { Runtime } from '../protocol/runtime/runtime.ts';
import { checkBus, type CheckedServer } from './bus-check.ts';
import type { AgentRow } from './core/state.ts';
import { createBusAccess } from './enrolment/bus-access.ts';
import { createEndedLogins } from './enrolment/ended-logins.ts';
import { evictionPassword } from './enrolment/eviction-login.ts';
import { createBusServer } from './http/bus-routes.ts';
import { listen } from './http/listen.ts';
import type { LiveKeys } from './keys/live-keys.ts';
import type { Evict } from './service/evictions.ts';
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
  /** Closes connections of an agent; left out where the bus cannot. */
  readonly evict?: Evict;
}

export interface ProgramBusOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerProgramConfiguration;
  readonly keys: Pick<LiveKeys, 'identity' | 'identities'>;
  readonly agent: (id: string) => Promise<AgentRow | undefined>;
}

export function createProgramBus(options: ProgramBusOptions): ProgramBus {
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
    evict: async (_agent, addresses) => addresses.forEach((address) => bus.disconnect(address)),
  };
}

const LOOPBACK = '127.0.0.1';

/** Brokers of one machine answer the server at one port, so that it is answered while any of them runs. */
const CAN_SHARE_PORTS = process.platform === 'linux';

function explainConflict(caught: unknown): never {
  const { code, message } = toCoPilotError(caught);
  if (code !== 'CONFLICT') throw caught;
  throw new CoPilotError(
    'LEDGER_IN_USE',
    `another broker serves this bus (${message}); brokers that share one need names of their own and a ledger of kind postgres`,
    { cause: caught },
  );
}

function rabbitBus(
  options: ProgramBusOptions,
  { url, password, managementUrl }: BusServerConfiguration,
): ProgramBus {
  const { runtime, configuration, keys } = options;
  const { instance, framesPerSecond } = configuration;
  const amqp = createAmqpBrokerBus({
    url,
    credential: { user: BROKER_ADDRESS, password },
    instance,
    framesPerSecond,
    isAlone: configuration.ledger === undefined,
    ...runtime,
  });
  const evict = async (agent: string): Promise<void> => {
    const credential = { user: agent, password: evictionPassword(runtime, keys.identity(), agent) };
    const closed = await closeConnections(managementUrl, credential);
    if (closed > 0) runtime.log.info({ agent, closed }, 'connections of an agent were closed');
  };
  return {
    bus: guarded(options, amqp, {
      server: { kind: 'amqp', url, admission: amqp },
      connections: (user) => amqp.connections(user),
      evict,
    }),
    url: () => url,
    address: amqp.address,
    connectionCount: () => undefined,
    admit: (agent) => amqp.admit(agent),
    evict,
  };
}

/** The server itself keeps each agent to one connection. */
const NO_COUNT = (): number => 0;

function xmppBus(
  options: ProgramBusOptions,
  { url, password }: BusServerConfiguration,
  componentUrl: string,
): ProgramBus {
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
    bus: guarded(options, xmpp, {
      server: { kind: 'xmpp', url, componentUrl },
      connections: NO_COUNT,
    }),
    url: () => url,
    address: xmpp.address,
    connectionCount: () => undefined,
    admit: async () => undefined,
  };
}

interface Guard {
  readonly server: CheckedServer;
  /** How many an agent has. */
  readonly connections: (user: string) => number;
  readonly evict?: (agent: string) => Promise<void>;
}

/** Answers the server's questions while the bus is up, and hands over no frame before the bus has passed its check. */
function guarded(options: ProgramBusOptions, bus: Bus, { server, connections, evict }: Guard): Bus {
  const { runtime, configuration, keys, agent } = options;
  const { installation, busPort } = configuration;
  const isShared = configuration.ledger !== undefined;
  const logins = createEndedLogins(
    runtime.clock,
    (signer) => keys.identities().includes(signer),
    (user) => {
      evict?.(user).catch((caught: unknown) =>
        runtime.log.warn(
          { agent: user, errorCode: toCoPilotError(caught).code },
          'a login outlives its identity',
        ),
      );
    },
  );
  const access = createBusAccess({
    runtime,
    installation,
    virtualHost: VIRTUAL_HOST,
    identityKey: keys.identity().publicKey,
    identityKeys: () => keys.identities(),
    agent,
    connections,
    onLogin: (user, login) => logins.loggedIn(user, login),
  });
  const decisions = createBusServer({ access, log: runtime.log });
  let isChecked = false;
  return {
    ...bus,
    async start() {
      await listen(decisions, LOOPBACK, busPort, isShared && CAN_SHARE_PORTS);
      await bus.start().catch(explainConflict);
      refuseLeaks(await checkBus({ runtime, installation, identityKey: keys.identity(), server }));
      isChecked = true;
    },
    onFrame(handler) {
      bus.onFrame((from, frame) => (isChecked ? handler(from, frame) : undefined));
    },
    async stop() {
      logins.stop();
      await bus.stop();
      await decisions.close();
    },
  };
}
