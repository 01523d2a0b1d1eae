import { CoPilotError } from '../protocol/errors.ts';
import type { BusServer } from './bus-server.ts';

/** Each is loaded when it is asked for. */
const SERVERS: Readonly<Record<string, () => Promise<BusServer>>> = {
  rabbitmq: async () => (await import('./rabbitmq/private-server.ts')).rabbitServer,
  prosody: async () => (await import('./prosody/private-server.ts')).prosodyServer,
  ejabberd: async () => (await import('./ejabberd/private-server.ts')).ejabberdServer,
};

export const BUS_SERVERS: readonly string[] = Object.keys(SERVERS);

/** Rejects with `INVALID_REQUEST` for a name of none; `what` says where it was given. */
export async function busServer(name: string, what: string): Promise<BusServer> {
  const load = Object.hasOwn(SERVERS, name) ? SERVERS[name] : undefined;
  if (load === undefined)
    throw new CoPilotError('INVALID_REQUEST', `${what} is one of ${BUS_SERVERS.join(', ')}, not ${name}`);
  return load();
}
