import { agentPlace, isXmppUrl } from '../../protocol/bindings/xmpp-place.ts';
import type { BusServerConfiguration } from '../../broker/program-configuration.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Installation } from '../installation.ts';
import { type ProsodyListener, type ProsodyOptions, prosodyFiles } from './server-files.ts';

const DEFAULT_PORT = { xmpp: 5222, xmpps: 5223, webSocket: 5280 } as const;

/**
 * What a Prosody server for this installation runs with, its files in `directory`. Throws `INVALID_CONFIGURATION` where the
 * installation has another bus.
 */
export function serverFilesFor(
  { configurations: { broker, local, bridge } }: Installation,
  directory: string,
): Readonly<Record<string, string>> {
  const { busPort, instance, otherBrokers = [] } = broker;
  const busServer = broker.buses.find((bus): bus is BusServerConfiguration => bus.kind === 'prosody');
  if (busServer?.componentUrl === undefined || !isXmppUrl(busServer.url))
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      'this installation has another bus; set bus.kind to prosody and bus.url to the address of the server',
    );
  return prosodyFiles({
    directory,
    domain: agentPlace(busServer.url).domain,
    ...listenerOf(new URL(busServer.url), directory),
    componentPort: Number(new URL(busServer.componentUrl).port),
    decisionsUrl: `http://127.0.0.1:${busServer.accessPort ?? busPort}`,
    brokerSecret: busServer.password,
    brokers: [instance, ...otherBrokers.filter((name) => name !== instance)],
    serviceSecrets: { [local.name]: local.busSecret, [bridge.name]: bridge.busSecret },
    asRoot: process.getuid?.() === 0,
  });
}

function listenerOf(
  { protocol, hostname, port }: URL,
  directory: string,
): Pick<ProsodyOptions, 'listen' | 'webSocketPort'> {
  const certificates = { certificate: `${directory}/server.pem`, key: `${directory}/server.key` };
  const portOr = (otherwise: number): number => (port === '' ? otherwise : Number(port));
  const tls = (ports: { readonly port?: number; readonly directPort?: number }): ProsodyListener => ({
    kind: 'tls',
    ...ports,
    ...certificates,
  });
  if (protocol === 'xmpps:') return { listen: tls({ directPort: portOr(DEFAULT_PORT.xmpps) }) };
  // A proxy in front ends TLS; where it listens is its own affair.
  if (protocol.startsWith('ws')) return { listen: { kind: 'proxy' }, webSocketPort: DEFAULT_PORT.webSocket };
  if (agentPlace(`xmpp://${hostname}`).leavesMachine)
    return { listen: tls({ port: portOr(DEFAULT_PORT.xmpp) }) };
  const host = hostname === 'localhost' ? '127.0.0.1' : hostname.replaceAll(/^\[|\]$/g, '');
  return { listen: { kind: 'plain', host, port: portOr(DEFAULT_PORT.xmpp) } };
}
