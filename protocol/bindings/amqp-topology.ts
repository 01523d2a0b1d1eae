import { type Address, MAX_FRAME_BYTES } from './bus.ts';
import { agentAddress, partyAt } from './parties.ts';

/**
 * What stands on an AMQP server (docs/buses.md). A routing key is `<addressee>.<sender>`, so that whoever may publish under it
 * says with the server's word, and not with its own, who it is. A dot within an address is written `~` there.
 */

/** Agents publish here and nowhere else; only queues of brokers are bound to it. */
export const AGENT_EXCHANGE = 'copilot.in';
/** Brokers and adapters among themselves. */
export const TRUSTED_EXCHANGE = 'copilot.trusted';
/** The server's own events, of the plugin rabbitmq_event_exchange. */
export const EVENT_EXCHANGE = 'amq.rabbitmq.event';

/** The virtual host that all of it stands in. */
export const VIRTUAL_HOST = 'copilot';

/** Largest message the server should take: a frame, and some room for what is to be refused with a reason. */
export const MAX_MESSAGE_BYTES = 2 * MAX_FRAME_BYTES;
/** Channels that one connection may open. */
export const MAX_CHANNELS = 4;

const FRAME_LIFE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Arguments of a queue, as the server takes them. */
export type QueueArguments = Readonly<Record<string, string | number>>;

/** A frame that waited a minute answers nothing any more: sessions repeat what matters. */
const COMMON: QueueArguments = { 'x-message-ttl': FRAME_LIFE_MS, 'x-overflow': 'reject-publish' };

export const AGENT_QUEUE: QueueArguments = {
  ...COMMON,
  'x-max-length': 200,
  'x-max-length-bytes': 4 * 1024 * 1024,
  'x-expires': DAY_MS,
};

/** Of a broker, its shared entrance, or an adapter. */
export const TRUSTED_QUEUE: QueueArguments = {
  ...COMMON,
  'x-max-length': 10_000,
  'x-max-length-bytes': 64 * 1024 * 1024,
};

export const EVENT_QUEUE: QueueArguments = { 'x-max-length': 10_000, 'x-overflow': 'drop-head' };

/** The word that an address is in a routing key. */
export function wordOf(address: Address): string {
  return address.replaceAll('.', '~');
}

/** Under which key an agent says something to a broker. */
export function agentKey(to: Address, agent: string): string {
  return `${wordOf(to)}.${agent}`;
}

/** Under which key brokers and adapters say something to one another. */
export function trustedKey(to: Address, from: Address): string {
  return `${wordOf(to)}.${wordOf(from)}`;
}

/** Who says something to whom; undefined for a key that is none of ours. */
export function readKey(
  exchange: string,
  key: string,
): { readonly to: Address; readonly from: Address } | undefined {
  const [to = '', from = '', ...more] = key.split('.');
  if (more.length > 0) return undefined;
  const sender = exchange === AGENT_EXCHANGE ? agentAddress(from) : from.replaceAll('~', '.');
  const isRight =
    partyAt(sender)?.kind === 'agent' ? exchange === AGENT_EXCHANGE : exchange === TRUSTED_EXCHANGE;
  return isRight && partyAt(sender) !== undefined ? { to: to.replaceAll('~', '.'), from: sender } : undefined;
}

/** Keys that an agent may publish under: to any broker, from itself. */
export function isAgentKey(key: string, agent: string): boolean {
  const read = readKey(AGENT_EXCHANGE, key);
  if (read === undefined || read.from !== agentAddress(agent)) return false;
  const kind = partyAt(read.to)?.kind;
  return kind === 'entrance' || kind === 'instance';
}
