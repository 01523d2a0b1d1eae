import type { ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import { RateLimiter } from '../session/rate-limiter.ts';
import { type Admission, admissionOver } from './amqp-admission.ts';
import type { Credential } from './amqp-connect.ts';
import { type AmqpOptions, AmqpPort, busOf, type Source } from './amqp-port.ts';
import { CONNECTION_EVENTS, OpenConnections, PRESENCE_EVENTS, readPresence } from './amqp-presence.ts';
import { Gone } from './gone.ts';
import type { Route } from './amqp-publisher.ts';
import {
  AGENT_EXCHANGE,
  EVENT_EXCHANGE,
  EVENT_QUEUE,
  readKey,
  TRUSTED_EXCHANGE,
  TRUSTED_QUEUE,
  trustedKey,
  wordOf,
} from './amqp-topology.ts';
import { instanceAddress, partyAt } from './parties.ts';
import { type Address, BROKER_ADDRESS, type Bus } from './bus.ts';

export interface AmqpBrokerOptions extends AmqpOptions {
  readonly credential: Credential;
  /** The instance's name among the brokers of the installation. */
  readonly instance: string;
  /** Frames of one agent; what comes faster is dropped, as a network may. */
  readonly framesPerSecond: number;
  /** No other broker may be on the bus: their ledgers would know nothing of one another. `start` rejects with `CONFLICT` where one is. */
  readonly isAlone?: boolean;
}

/** A broker's bus. Frames come by its own address and by the one that all brokers share. */
export interface AmqpBrokerBus extends Bus, Admission {
  /** Where agents and adapters reach this instance and no other. */
  readonly address: Address;
  /** Connections that a user of the server has open, of those made since this bus is up. */
  connections(user: string): number;
}

/** A broker that was killed has its place for as long as the server takes to notice. */
const CONFLICT_MS = 5_000;
const UNCONFIRMED_BYTES = 64 * 1024 * 1024;

/** Declares what stands on the server: exchanges, its own queues, a queue for each agent that is admitted. */
export function createAmqpBrokerBus(options: AmqpBrokerOptions): AmqpBrokerBus {
  const { credential, instance, framesPerSecond, isAlone = false, clock, log } = options;
  const address = instanceAddress(instance);
  const gone = new Gone();
  let connections = new OpenConnections();
  const limiter = new RateLimiter({ burst: 2 * framesPerSecond, everyMs: 1000 / framesPerSecond });

  const port = new AmqpPort(options, {
    credential: () => credential,
    async declare(channel, model) {
      const sources = await declareOwn(channel, address, isAlone);
      await watch(model);
      return sources;
    },
    route: (to) => (gone.has(to) ? undefined : routeTo(to, address)),
    senderOf,
    peers: () => [],
    unconfirmedBytes: UNCONFIRMED_BYTES,
    conflictMs: CONFLICT_MS,
  });

  /** The key's addressee must be this broker: by BCC a message reaches queues that its key does not name. */
  function senderOf({ fields: { exchange, routingKey } }: ConsumeMessage): Address | undefined {
    const read = readKey(exchange, routingKey);
    if (read === undefined || (read.to !== BROKER_ADDRESS && read.to !== address)) return undefined;
    if (exchange === AGENT_EXCHANGE && !limiter.take(read.from, clock.monotonicMs())) {
      log.debug({ address: read.from }, 'an agent sends too fast, and a frame of it was dropped');
      return undefined;
    }
    gone.remove(read.from);
    return read.from;
  }

  /** Hears from the server who comes and goes. */
  async function watch(model: ChannelModel): Promise<void> {
    const channel = await model.createChannel();
    channel.on('error', (error) => log.warn({ error }, 'the bus does not tell who comes and goes'));
    const queue = `${address}:events`;
    await channel.assertQueue(queue, { exclusive: true, durable: false, arguments: EVENT_QUEUE });
    for (const event of [...PRESENCE_EVENTS, ...CONNECTION_EVENTS])
      await channel.bindQueue(queue, EVENT_EXCHANGE, event);
    // What was there before is not told again.
    connections = new OpenConnections();
    await channel.consume(
      queue,
      (event) => {
        if (event !== null) hear(event);
      },
      { noAck: true, exclusive: true },
    );
  }

  function hear(event: ConsumeMessage): void {
    if (CONNECTION_EVENTS.includes(event.fields.routingKey)) {
      connections.take(event);
      return;
    }
    const presence = readPresence(event);
    if (presence?.isGone === false) gone.remove(presence.address);
    if (presence?.isGone === true && gone.add(presence.address)) port.tellGone(presence.address);
  }

  return {
    ...busOf(port),
    address,
    connections: (user) => connections.of(user),
    ...admissionOver(() => port.model),
  };
}

async function declareOwn(
  channel: ConfirmChannel,
  address: Address,
  isAlone: boolean,
): Promise<readonly Source[]> {
  for (const exchange of [AGENT_EXCHANGE, TRUSTED_EXCHANGE])
    await channel.assertExchange(exchange, 'topic', { durable: true });
  await channel.assertQueue(BROKER_ADDRESS, { durable: true, arguments: TRUSTED_QUEUE });
  await channel.bindQueue(BROKER_ADDRESS, AGENT_EXCHANGE, `${BROKER_ADDRESS}.*`);
  await channel.assertQueue(address, { exclusive: true, durable: false, arguments: TRUSTED_QUEUE });
  for (const exchange of [AGENT_EXCHANGE, TRUSTED_EXCHANGE])
    await channel.bindQueue(address, exchange, `${wordOf(address)}.*`);
  return [
    { queue: BROKER_ADDRESS, exclusive: isAlone },
    { queue: address, exclusive: true },
  ];
}

/** An agent's queue is written to by its name: nothing an agent can set has a part in where an answer goes. */
function routeTo(to: Address, from: Address): Route | undefined {
  switch (partyAt(to)?.kind) {
    case 'agent':
      return { exchange: '', key: to };
    case 'service':
      return { exchange: TRUSTED_EXCHANGE, key: trustedKey(to, from) };
    case 'entrance':
    case 'instance':
    case undefined:
      return undefined;
  }
}
