import { join } from 'node:path';
import type { XmppServerOptions } from '../../cli/xmpp-server.ts';
import type { AmqpAgentBus } from '../../protocol/bindings/amqp-agent.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { createXmppAgentBus } from '../../protocol/bindings/xmpp-agent.ts';
import { createXmppBrokerBus, type XmppBrokerBus } from '../../protocol/bindings/xmpp-broker.ts';
import { createXmppServiceBus } from '../../protocol/bindings/xmpp-service.ts';
import { nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import { type AgentLogin, type BusDesk, openBusDesk } from './bus-desk.ts';
import { silentLog } from './silent-log.ts';
import { removeDirectory, temporaryDirectory } from './temporary-directory.ts';
import { tlsListener } from './tls-listener.ts';

/** What a real XMPP server that is locked down must say of itself. */
export interface XmppServer {
  readonly desk: BusDesk;
  /** Where agents come: with TLS, where the server has it. */
  readonly url: string;
  /** By a WebSocket, on the loopback interface; undefined where the server has none. */
  readonly webSocketUrl?: string;
  /** With TLS from the first byte; undefined where the server has none. */
  readonly directUrl?: string;
  /** Where components do. */
  readonly componentUrl: string;
  /** Ends it as a power cut does; `start` begins it again where it was. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The same with whoever comes to it. */
export interface LockedXmpp extends XmppServer {
  broker(options?: Partial<BrokerOptions>): XmppBrokerBus;
  agentBus(agent: AgentLogin, options?: Partial<AgentOptions>): AmqpAgentBus;
  service(name: string, secret?: string): Bus;
}

interface BrokerOptions {
  readonly clock: Clock;
  readonly secret: string;
  readonly instance: string;
  readonly framesPerSecond: number;
  readonly isAlone: boolean;
}

interface AgentOptions {
  readonly clock: Clock;
  readonly url: string;
  readonly renewIdentity: () => Promise<void>;
}

/** Adapters `storage` and `other`, and what they and the brokers prove themselves with. */
export const SERVICE_SECRETS = { storage: 'secret of the storage adapter', other: 'secret of the other' };
export const BROKER_SECRET = 'secret of "the" \\ brokers';
const INSTANCES = ['broker-1', 'broker-2', 'broker-3'];

type Files = Readonly<Record<string, string>>;

interface Ports {
  readonly bus: number;
  readonly direct: number;
  readonly component: number;
  readonly webSocket: number;
}

interface Started extends ServerProcess {
  readonly ports: Ports;
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** What one XMPP server does otherwise than another. */
export interface XmppSetup {
  readonly name: 'prosody' | 'ejabberd';
  start(directory: string, files: (ports: Ports) => Files): Promise<Started>;
  files(options: XmppServerOptions): Files;
}

export interface LockedXmppOptions {
  readonly withTls?: boolean;
  /** Changes files before the server reads them. */
  readonly change?: (files: Files) => Files;
}

const DOMAIN = 'localhost';

/** A server as `co-pilot bus config` sets it up, asking the broker's own code about agents. */
export async function openLockedXmpp(
  setup: XmppSetup,
  { withTls = false, change = (files) => files }: LockedXmppOptions,
): Promise<LockedXmpp> {
  const directory = await temporaryDirectory(setup.name);
  const desk = await openBusDesk();
  const folder = join(directory, 'server');
  const filesFor = (ports: Ports): Files =>
    change(
      setup.files({
        directory: folder,
        domain: DOMAIN,
        listen: withTls ? tlsListener(folder, ports) : { kind: 'plain', host: '127.0.0.1', port: ports.bus },
        componentPort: ports.component,
        webSocketPort: ports.webSocket,
        decisionsUrl: desk.url,
        brokerSecret: BROKER_SECRET,
        brokers: INSTANCES,
        serviceSecrets: SERVICE_SECRETS,
      }),
    );
  const server = await setup.start(folder, filesFor).catch(async (caught: unknown) => {
    await desk.close();
    throw caught;
  });
  const { ports } = server;
  return lockedXmpp({
    desk,
    url: `xmpp://${withTls ? 'localhost' : '127.0.0.1'}:${ports.bus}`,
    ...(withTls && { directUrl: `xmpps://localhost:${ports.direct}` }),
    webSocketUrl: `ws://127.0.0.1:${ports.webSocket}/xmpp-websocket`,
    componentUrl: `xmpp://127.0.0.1:${ports.component}/${DOMAIN}`,
    kill: () => server.kill(),
    start: () => server.start(),
    async stop() {
      await server.stop();
      await desk.close();
      await removeDirectory(directory);
    },
  });
}

function lockedXmpp(server: XmppServer): LockedXmpp {
  const common = { clock: nodeClock, random: nodeRandom, log: silentLog };
  const { url, componentUrl } = server;
  return {
    ...server,
    broker: (options = {}) =>
      createXmppBrokerBus({
        ...common,
        url: componentUrl,
        secret: BROKER_SECRET,
        instance: 'broker-1',
        framesPerSecond: 10_000,
        ...options,
      }),
    agentBus: ({ user, password }, options = {}) =>
      createXmppAgentBus({
        ...common,
        url,
        agent: user,
        identity: () => password,
        renewIdentity: async () => undefined,
        ...options,
      }),
    service: (name, secret = SERVICE_SECRETS.storage) =>
      createXmppServiceBus({ ...common, url: componentUrl, address: `service.${name}`, secret }),
  };
}
