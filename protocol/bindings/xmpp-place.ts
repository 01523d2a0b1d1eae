import { CoPilotError } from '../errors.ts';

/** Where an XMPP server is, and the domain it serves agents under. */
export interface XmppPlace {
  /** As the library takes it. */
  readonly service: string;
  readonly domain: string;
  /** Frames between this program and the server leave the machine. */
  readonly leavesMachine: boolean;
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
/** The domain of a server that has no other name. */
const LOCAL_DOMAIN = 'localhost';
const WEBSOCKET_PATH = '/xmpp-websocket';
export const COMPONENT_PORT = 5347;

/** Whether a WebSocket address is that of an XMPP server (RFC 7395), and not of the embedded bus. */
export function isXmppUrl(url: string): boolean {
  const { protocol, pathname } = new URL(url);
  return protocol === 'xmpp:' || protocol === 'xmpps:' || pathname === WEBSOCKET_PATH;
}

/**
 * `xmpp:` and `xmpps://host[:port][/domain]`, `ws:` and `wss://host[:port]/xmpp-websocket`. Without a domain it is the host.
 * Throws `NOT_AUTHORIZED` where the address itself says that an identity would travel in the clear.
 */
export function agentPlace(url: string): XmppPlace {
  const { protocol, host, hostname, pathname } = new URL(url);
  const leavesMachine = !LOOPBACK.has(hostname);
  if (protocol === 'ws:' && leavesMachine)
    throw new CoPilotError(
      'NOT_AUTHORIZED',
      `the bus at ${hostname} takes logins in the clear; it must be wss`,
    );
  const isWebSocket = protocol.startsWith('ws');
  return {
    service: isWebSocket ? url : `${protocol}//${host}`,
    domain: domainOf(hostname, isWebSocket ? '' : pathname),
    leavesMachine,
  };
}

/**
 * `xmpp://host[:port]/domain` of the port that components come to, which knows no TLS. Throws `NOT_AUTHORIZED` where that is
 * on another machine.
 */
export function componentPlace(url: string): XmppPlace {
  const { protocol, hostname, port, pathname } = new URL(url);
  if (protocol !== 'xmpp:' || !LOOPBACK.has(hostname))
    throw new CoPilotError(
      'NOT_AUTHORIZED',
      `components of an XMPP server speak in the clear: ${hostname} must be this machine, or the end of a tunnel on it`,
    );
  return {
    service: `xmpp://${hostname}:${port === '' ? COMPONENT_PORT : port}`,
    domain: domainOf(hostname, pathname),
    leavesMachine: false,
  };
}

function domainOf(hostname: string, pathname: string): string {
  if (pathname.length > 1) return pathname.slice(1);
  return LOOPBACK.has(hostname) ? LOCAL_DOMAIN : hostname;
}
