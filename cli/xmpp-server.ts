import type { BusServerConfiguration } from '../broker/program-configuration.ts';
import { BUS_PATHS } from '../broker/http/bus-routes.ts';
import { BROKER_ADDRESS } from '../protocol/bindings/bus.ts';
import { instanceAddress } from '../protocol/bindings/parties.ts';
import { jidOf } from '../protocol/bindings/xmpp-names.ts';
import { agentPlace, isXmppUrl } from '../protocol/bindings/xmpp-place.ts';
import { CoPilotError } from '../protocol/errors.ts';
import type { Installation } from './installation.ts';

/** What an XMPP server is set up for, whichever it is. */
export interface XmppServerOptions {
  /** Where the server reads its files. */
  readonly directory: string;
  /** Agents are users of it; everybody trusted has a name below it. */
  readonly domain: string;
  readonly listen: XmppListener;
  /** On the loopback interface, where brokers and adapters come. */
  readonly componentPort: number;
  /** On the loopback interface, for a proxy that ends TLS; none where it is left out. */
  readonly webSocketPort?: number;
  /** Where the broker answers who may log in, without a slash at its end. */
  readonly decisionsUrl: string;
  readonly brokerSecret: string;
  /** Names of the broker instances. */
  readonly brokers: readonly string[];
  /** Adapters by name. */
  readonly serviceSecrets: Readonly<Record<string, string>>;
}

export type XmppListener =
  | { readonly kind: 'plain'; readonly host: string; readonly port: number }
  /** Nobody but a proxy that ends TLS, by a WebSocket. */
  | { readonly kind: 'proxy' }
  | {
      readonly kind: 'tls';
      /** All addresses of the machine where it is left out. */
      readonly host?: string;
      /** STARTTLS, and TLS from the first byte on. */
      readonly port?: number;
      readonly directPort?: number;
      readonly certificate: string;
      readonly key: string;
    };

export interface Component {
  readonly name: string;
  readonly secret: string;
}

const DEFAULT_PORT = { xmpp: 5222, xmpps: 5223, webSocket: 5280 } as const;

/**
 * What the server named is to be for this installation, its files in `directory`. Throws `INVALID_CONFIGURATION` where the
 * installation has another bus.
 */
export function xmppServerFor(
  { configurations: { broker } }: Installation,
  directory: string,
  kind: string,
): XmppServerOptions {
  const { buses, busPort, instance, otherBrokers = [] } = broker;
  const busServer = buses.find((bus): bus is BusServerConfiguration => bus.kind === kind);
  if (busServer?.componentUrl === undefined || !isXmppUrl(busServer.url))
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      `this installation has another bus; set bus.kind to ${kind} and bus.url to the address of the server`,
    );
  return {
    directory,
    domain: agentPlace(busServer.url).domain,
    ...listenerOf(new URL(busServer.url), directory),
    componentPort: Number(new URL(busServer.componentUrl).port),
    decisionsUrl: `http://127.0.0.1:${busServer.accessPort ?? busPort}`,
    brokerSecret: busServer.password,
    brokers: [instance, ...otherBrokers.filter((name) => name !== instance)],
    serviceSecrets: Object.fromEntries(broker.services.map(({ name, secret }) => [name, secret])),
  };
}

function listenerOf(
  { protocol, hostname, port }: URL,
  directory: string,
): Pick<XmppServerOptions, 'listen' | 'webSocketPort'> {
  const certificates = { certificate: `${directory}/server.pem`, key: `${directory}/server.key` };
  const portOr = (otherwise: number): number => (port === '' ? otherwise : Number(port));
  const tls = (ports: { readonly port?: number; readonly directPort?: number }): XmppListener => ({
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

/** Whoever is trusted, by the names that the server knows. */
export function componentsOf({ domain, brokers, brokerSecret, serviceSecrets }: XmppServerOptions): {
  /** The shared name first. */
  readonly brokers: readonly Component[];
  readonly adapters: readonly Component[];
} {
  const name = (address: string): string => jidOf(address, domain) ?? address;
  return {
    brokers: [BROKER_ADDRESS, ...brokers.map(instanceAddress)].map((address) => ({
      name: name(address),
      secret: brokerSecret,
    })),
    adapters: Object.entries(serviceSecrets).map(([service, secret]) => ({
      name: name(`service.${service}`),
      secret,
    })),
  };
}

/** Where the server asks who may log in. */
export function loginUrl({ decisionsUrl }: XmppServerOptions): string {
  return `${decisionsUrl}${BUS_PATHS.user}`;
}
