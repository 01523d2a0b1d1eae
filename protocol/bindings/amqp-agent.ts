import { type AmqpOptions, AmqpPort, busOf, type Wiring } from './amqp-port.ts';
import { AGENT_EXCHANGE, agentKey } from './amqp-topology.ts';
import { agentAddress, partyAt } from './parties.ts';
import { BROKER_ADDRESS, type Bus } from './bus.ts';

export interface AmqpAgentOptions extends AmqpOptions {
  /** The agent's id: its name on the server. */
  readonly agent: string;
  /** Its identity now, which is its password. */
  readonly identity: () => string;
  /**
   * The server refused the identity, or has no queue for the agent: resolves when both may be right. A renewal at the enrolment
   * address does it.
   */
  readonly renewIdentity: () => Promise<void>;
}

/** A bus whose one peer is the broker, at its shared address and at that of each instance. */
export interface AmqpAgentBus extends Bus {
  /** The identity was renewed: the connection that is there goes on under the new one. */
  identityRenewed(): Promise<void>;
}

const UNCONFIRMED_BYTES = 4 * 1024 * 1024;

/** The bus of an agent: it may publish to brokers under its own name and read its own queue, and nothing else. */
export function createAmqpAgentBus(options: AmqpAgentOptions): AmqpAgentBus {
  const port = new AmqpPort(options, agentWiring(options));
  return {
    ...busOf(port),
    async identityRenewed() {
      await port.model?.updateSecret(Buffer.from(options.identity()), 'the identity was renewed');
    },
  };
}

function agentWiring({ agent, identity, renewIdentity }: AmqpAgentOptions): Wiring {
  return {
    credential: () => ({ user: agent, password: identity() }),
    declare: async () => [{ queue: agentAddress(agent), exclusive: true }],
    route(to) {
      const kind = partyAt(to)?.kind;
      if (kind !== 'entrance' && kind !== 'instance') return undefined;
      return { exchange: AGENT_EXCHANGE, key: agentKey(to, agent) };
    },
    // Nobody but brokers can write to an agent's queue.
    senderOf: () => BROKER_ADDRESS,
    peers: () => [BROKER_ADDRESS],
    refused: renewIdentity,
    unconfirmedBytes: UNCONFIRMED_BYTES,
  };
}
