import type { Message } from 'amqplib';
import { isAgentName, partyAt } from './parties.ts';
import type { Address } from './bus.ts';

/** Events that say who is there: agents by whether somebody reads their queue, adapters by their queue itself. */
export const PRESENCE_EVENTS: readonly string[] = ['consumer.created', 'consumer.deleted', 'queue.deleted'];
/** Events that say who has how many connections. */
export const CONNECTION_EVENTS: readonly string[] = ['connection.created', 'connection.closed'];

/** Connections remembered as open; beyond, the oldest is forgotten. */
const MAX_CONNECTIONS = 65_536;

/** What one event of the server says of an address of ours. */
export function readPresence({
  fields,
  properties,
}: Message): { readonly address: Address; readonly isGone: boolean } | undefined {
  const name = header(properties.headers, fields.routingKey === 'queue.deleted' ? 'name' : 'queue');
  if (name === undefined || partyAt(name) === undefined) return undefined;
  return { address: name, isGone: fields.routingKey !== 'consumer.created' };
}

/** How many connections agents have, as the server's events tell. */
export class OpenConnections {
  readonly #users = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  of(user: string): number {
    return this.#counts.get(user) ?? 0;
  }

  /** Takes an event of `CONNECTION_EVENTS`. The server names the user when a connection begins, and only its process when it ends. */
  take({ fields, properties }: Message): void {
    const process = header(properties.headers, 'pid') ?? '';
    if (fields.routingKey === 'connection.closed') this.#closed(process);
    else this.#created(process, header(properties.headers, 'user') ?? '');
  }

  #created(process: string, user: string): void {
    if (!isAgentName(user) || this.#users.has(process)) return;
    this.#users.set(process, user);
    this.#counts.set(user, this.of(user) + 1);
    const [oldest] = this.#users.keys();
    if (this.#users.size > MAX_CONNECTIONS && oldest !== undefined) this.#closed(oldest);
  }

  #closed(process: string): void {
    const user = this.#users.get(process);
    if (user === undefined) return;
    this.#users.delete(process);
    const left = this.of(user) - 1;
    if (left > 0) this.#counts.set(user, left);
    else this.#counts.delete(user);
  }
}

function header(headers: unknown, name: string): string | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined;
  const value: unknown = Object.entries(headers).find(([key]) => key === name)?.[1];
  return typeof value === 'string' ? value : undefined;
}
