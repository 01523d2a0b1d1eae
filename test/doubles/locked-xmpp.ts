import type { AmqpAgentBus } from '../../protocol/bindings/amqp-agent.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { createXmppAgentBus } from '../../protocol/bindings/xmpp-agent.ts';
import { createXmppBrokerBus, type XmppBrokerBus } from '../../protocol/bindings/xmpp-broker.ts';
import { createXmppServiceBus } from '../../protocol/bindings/xmpp-service.ts';
import { nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { AgentLogin, BusDesk } from './bus-desk.ts';
import { silentLog } from './silent-log.ts';

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
}

interface AgentOptions {
  readonly clock: Clock;
  readonly url: string;
  readonly renewIdentity: () => Promise<void>;
}

/** Adapters `storage` and `other`, and what they and the brokers prove themselves with. */
export const SERVICE_SECRETS = { storage: 'secret of the storage adapter', other: 'secret of the other' };
export const BROKER_SECRET = 'secret of "the" \\ brokers';
export const INSTANCES = ['broker-1', 'broker-2', 'broker-3'];

export function lockedXmpp(server: XmppServer): LockedXmpp {
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
