import type { Message } from 'amqplib';
import { partyAt } from './amqp-topology.ts';
import type { Address } from './bus.ts';

/** Events that say who is there: kinds of agents by whether somebody reads their queue, adapters by their queue itself. */
export const PRESENCE_EVENTS = ['consumer.created', 'consumer.deleted', 'queue.deleted'] as const;

/** Addresses remembered as gone; beyond, the one that went first is forgotten, and found out again by the frame that is sent to it. */
const MAX_GONE = 65_536;

/** What one event of the server says of an address of ours. */
export function readPresence({
  fields,
  properties,
}: Message): { readonly address: Address; readonly isGone: boolean } | undefined {
  const headers: unknown = properties.headers;
  if (typeof headers !== 'object' || headers === null) return undefined;
  const name: unknown =
    fields.routingKey === 'queue.deleted' && 'name' in headers
      ? headers.name
      : 'queue' in headers
        ? headers.queue
        : undefined;
  if (typeof name !== 'string' || partyAt(name) === undefined) return undefined;
  return { address: name, isGone: fields.routingKey !== 'consumer.created' };
}

/** Who is known to have gone. A queue outlives its reader, so that the server would take frames for nobody. */
export class Gone {
  readonly #addresses = new Set<Address>();

  has(address: Address): boolean {
    return this.#addresses.has(address);
  }

  /** True where that is news. */
  add(address: Address): boolean {
    if (this.#addresses.has(address)) return false;
    this.#addresses.add(address);
    if (this.#addresses.size > MAX_GONE) {
      const [first] = this.#addresses;
      if (first !== undefined) this.#addresses.delete(first);
    }
    return true;
  }

  remove(address: Address): void {
    this.#addresses.delete(address);
  }
}
