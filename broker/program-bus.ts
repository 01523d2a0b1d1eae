import { closeConnections } from '../protocol/bindings/amqp-eviction.ts';
import { VIRTUAL_HOST } from '../protocol/bindings/amqp-topology.ts';
import { type Address, BROKER_ADDRESS, type Bus } from '../protocol/bindings/bus.ts';
import { behindDoor, createJointBus } from '../protocol/bindings/joint-bus.ts';
import { notLockedDown, refuseLeaks } from '../protocol/bindings/lock-down.ts';
import { createWebSocketHub } from '../protocol/bindings/websocket-server.ts';
import { CoPilotError, toCoPilotError } from '../protocol/errors.ts';
import type { Runtime } from '../protocol/runtime/runtime.ts';
import { checkBus, type CheckedServer } from './bus-check.ts';
import type { AgentRow } from './core/state.ts';
import { createBusAccess } from './enrolment/bus-access.ts';
import { createEndedLogins, type EndedLogins } from './enrolment/ended-logins.ts';
import { evictionPassword } from './enrolment/eviction-login.ts';
import { createBusServer } from './http/bus-routes.ts';
import { listen } from './http/listen.ts';
import type { LiveKeys } from './keys/live-keys.ts';
import type { Evict } from './service/evictions.ts';
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
  /** Closes connections of an agent; left out where the bus cannot. */
  readonly evict?: Evict;
}

export interface ProgramBusOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerProgramConfiguration;
  readonly keys: Pick<LiveKeys, 'identity' | 'identities'>;
  readonly agent: (id: string) => Promise<AgentRow | undefined>;
}

/** Of several buses, the one that is the broker's own. */
export const EMBEDDED_DOOR: EmbeddedBusConfiguration['kind'] = 'websocket';

/** A bus server's client is loaded where it is used: without one a broker starts sooner. */
export async function createProgramBus(options: ProgramBusOptions): Promise<ProgramBus> {
  const parts = await Promise.all(
    options.configuration.buses.map(async (bus) => ({ name: bus.kind, part: await oneBus(options, bus) })),
  );
  const [only, ...others] = parts;
  return only !== undefined && others.length === 0 ? only.part : joined(options, parts);
}

async function oneBus(options: ProgramBusOptions, bus: BusConfiguration): Promise<ProgramBus> {
  if (bus.kind === 'websocket') return embeddedBus(options, bus);
  const { componentUrl } = bus;
  return componentUrl === undefined ? rabbitBus(options, bus) : xmppBus(options, bus, componentUrl);
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
    evict: async (_agent, addresses) => addresses.forEach((address) => bus.disconnect(address)),
  };
}

const LOOPBACK = '127.0.0.1';
/** Brokers of one machine answer the server at one port, so that it is answered while any of them runs. */
const CAN_SHARE_PORTS = process.platform === 'linux';

/** Other brokers may be on the bus. */
function isShared({ ledger }: BrokerProgramConfiguration): boolean {
  return ledger !== undefined;
}

/** A server may share the brokers' name out without telling any of them that there are others. */
function refuseOthers(configuration: BrokerProgramConfiguration): void {
  const { instance, otherBrokers = [] } = configuration;
  const other = otherBrokers.find((name) => name !== instance);
  if (other === undefined || isShared(configuration)) return;
  throw new CoPilotError(
    'LEDGER_IN_USE',
    `bus.brokers names ${other}; brokers that share a bus need names of their own and a ledger of kind postgres`,
  );
}

function explainConflict(caught: unknown): never {
  const { code, message } = toCoPilotError(caught);
  if (code !== 'CONFLICT') throw caught;
  throw new CoPilotError(
    'LEDGER_IN_USE',
    `another broker serves this bus (${message}); brokers that share one need names of their own and a ledger of kind postgres`,
    { cause: caught },
  );
}

async function rabbitBus(
  options: ProgramBusOptions,
  { url, password, managementUrl, accessPort, publicUrl }: BusServerConfiguration,
): Promise<ProgramBus> {
  const { createAmqpBrokerBus } = await import('../protocol/bindings/amqp-broker.ts');
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

/** The server itself keeps each agent to one connection. */
const NO_COUNT = (): number => 0;
/** No agent has this name. */
const NOBODY = 'nobody';

function explainDeaf(caught: unknown): never {
  const { code } = toCoPilotError(caught);
  throw code === 'NOT_AUTHORIZED' ? notLockedDown('the broker cannot close an agent’s stream') : caught;
}

async function xmppBus(
  options: ProgramBusOptions,
  { url, password, accessPort, publicUrl }: BusServerConfiguration,
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
    isAlone: !isShared(configuration),
    ...runtime,
  });
  const evict = async (agent: string): Promise<void> => logClosed(runtime, agent, await xmpp.evict(agent));
  const start = async (): Promise<void> => {
    refuseOthers(configuration);
    await xmpp.start();
  };
  return {
    bus: guarded(options, {
      bus: { ...xmpp, start },
      accessPort,
      server: { kind: 'xmpp', url, componentUrl },
      connections: NO_COUNT,
      evict,
      prove: () => xmpp.evict(NOBODY).catch(explainDeaf),
    }),
    agentUrls: () => [publicUrl ?? url],
    url: () => url,
    address: xmpp.address,
    doors: undefined,
    connectionCount: () => undefined,
    admit: async () => undefined,
    evict,
  };
}

function logClosed({ log }: Runtime, agent: string, closed: number): void {
  if (closed > 0) log.info({ agent, closed }, 'connections of an agent were closed');
}

/** Closes connections whose identity has ended or is believed no more. */
function endedLogins(
  { runtime, keys }: ProgramBusOptions,
  evict: (agent: string) => Promise<void>,
): EndedLogins {
  return createEndedLogins(
    runtime.clock,
    (signer) => keys.identities().includes(signer),
    (agent) => {
      evict(agent).catch((caught: unknown) =>
        runtime.log.warn({ agent, errorCode: toCoPilotError(caught).code }, 'a login outlives its identity'),
      );
    },
  );
}

interface Guarded {
  readonly bus: Bus;
  /** Where the server asks; the port of the bus where it is left out. */
  readonly accessPort: number | undefined;
  readonly server: CheckedServer;
  /** Connections that an agent has open, as far as is known. */
  readonly connections: (user: string) => number;
  readonly evict: (agent: string) => Promise<void>;
  /** Rejects with `INVALID_CONFIGURATION` where the server does not do what the broker will ask of it. */
  readonly prove?: () => Promise<unknown>;
}

/** Answers the server's questions while the bus is up, and hands over no frame before the bus has passed its check. */
function guarded(options: ProgramBusOptions, parts: Guarded): Bus {
  const { bus, accessPort, server, connections, evict, prove } = parts;
  const { runtime, configuration, keys, agent } = options;
  const { installation, busPort } = configuration;
  const logins = endedLogins(options, evict);
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
      await listen(decisions, LOOPBACK, accessPort ?? busPort, isShared(configuration) && CAN_SHARE_PORTS);
      await bus.start().catch(explainConflict);
      refuseLeaks(await checkBus({ runtime, installation, identityKey: keys.identity(), server }));
      await prove?.();
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
