import type { ConfirmChannel } from 'amqplib';
import type { Credential } from './amqp-connect.ts';
import { type AmqpOptions, AmqpPort, busOf, type Source } from './amqp-port.ts';
import { readKey, TRUSTED_EXCHANGE, TRUSTED_QUEUE, trustedKey, wordOf } from './amqp-topology.ts';
import { partyAt } from './parties.ts';
import type { Address, Bus } from './bus.ts';

export interface AmqpServiceOptions extends AmqpOptions {
  readonly credential: Credential;
  /** The adapter's address. */
  readonly address: Address;
}

const UNCONFIRMED_BYTES = 64 * 1024 * 1024;

/** The bus of an adapter, whose peers are the broker instances. `start` rejects with `NOT_AUTHORIZED` where its login is refused. */
export function createAmqpServiceBus(options: AmqpServiceOptions): Bus {
  const { address, credential } = options;
  const heard = new Set<Address>();
  const isBroker = (peer: Address): boolean => partyAt(peer)?.kind === 'instance';
  return busOf(
    new AmqpPort(options, {
      credential: () => credential,
      declare: (channel) => declareOwn(channel, address),
      route: (to) =>
        isBroker(to) ? { exchange: TRUSTED_EXCHANGE, key: trustedKey(to, address) } : undefined,
      senderOf({ fields: { exchange, routingKey } }) {
        const read = readKey(exchange, routingKey);
        if (read?.to !== address || !isBroker(read.from)) return undefined;
        heard.add(read.from);
        return read.from;
      },
      peers: () => heard,
      unconfirmedBytes: UNCONFIRMED_BYTES,
    }),
  );
}

async function declareOwn(channel: ConfirmChannel, address: Address): Promise<readonly Source[]> {
  await channel.assertQueue(address, { exclusive: true, durable: false, arguments: TRUSTED_QUEUE });
  await channel.bindQueue(address, TRUSTED_EXCHANGE, `${wordOf(address)}.*`);
  return [{ queue: address, exclusive: true }];
}
