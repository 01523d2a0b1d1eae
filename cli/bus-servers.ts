import { CoPilotError } from '../protocol/errors.ts';
import type { BusServer } from './bus-server.ts';
import { prosodyServer } from './prosody/private-server.ts';
import { rabbitServer } from './rabbitmq/private-server.ts';

const SERVERS: Readonly<Record<string, BusServer>> = { rabbitmq: rabbitServer, prosody: prosodyServer };

export const BUS_SERVERS: readonly string[] = Object.keys(SERVERS);

/** Throws `INVALID_REQUEST` for a name of none; `what` says where it was given. */
export function busServer(name: string, what: string): BusServer {
  const server = SERVERS[name];
  if (server === undefined)
    throw new CoPilotError('INVALID_REQUEST', `${what} is one of ${BUS_SERVERS.join(', ')}, not ${name}`);
  return server;
}
