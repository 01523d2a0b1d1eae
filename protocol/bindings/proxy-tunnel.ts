import { request as requestOverHttp } from 'node:http';
import { request as requestOverHttps } from 'node:https';
import { BlockList, isIP, isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import { CoPilotError } from '../errors.ts';

/** Where a connection is to lead. */
export interface Destination {
  /** Without brackets. */
  readonly hostname: string;
  readonly port: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const OPEN_WITHIN_MS = 10_000;

/**
 * The proxy that the environment names for what goes over TLS, by Node's own rules: where `NODE_USE_ENV_PROXY` is 1, that of
 * `HTTPS_PROXY`, unless `NO_PROXY` has the destination. Undefined where the way is straight. Throws `INVALID_CONFIGURATION` where it is no address.
 */
export function proxyFor(destination: Destination, environment: Environment): URL | undefined {
  const proxy = environment['https_proxy'] || environment['HTTPS_PROXY'];
  if (environment['NODE_USE_ENV_PROXY'] !== '1' || !proxy) return undefined;
  const excepted = environment['no_proxy'] || environment['NO_PROXY'] || '';
  if (excepted.split(/[\s,]+/).some((entry) => entry !== '' && isMeant(entry.toLowerCase(), destination)))
    return undefined;
  const url = URL.parse(proxy);
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new CoPilotError('INVALID_CONFIGURATION', 'HTTPS_PROXY must begin with http:// or https://');
}

/** `*`, a name, `.suffix`, `*.suffix`, an address, `address-address`; each with a port where it has one. */
function isMeant(entry: string, { hostname, port }: Destination): boolean {
  const host = hostname.toLowerCase();
  const named = /^(\[[^\]]*\]|[^:]+):(\d{1,5})$/.exec(entry);
  if (named !== null) return Number(named[2]) === port && isMeant(named[1] ?? '', { hostname, port });
  if (entry === '*' || entry === host || entry === `[${host}]`) return true;
  if (entry.startsWith('.') || entry.startsWith('*.')) return host.endsWith(entry.replace(/^\*/, ''));
  const [first = '', last = ''] = entry.split('-');
  const family = isIP(host) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(host) === 0 || isIP(first) !== isIP(host) || isIP(last) !== isIP(host)) return false;
  const range = new BlockList();
  try {
    range.addRange(first, last, family);
  } catch {
    return false; // its end is before its beginning
  }
  return range.check(host, family);
}

/**
 * A connection to somewhere that a proxy makes for us (CONNECT, RFC 9110 §9.3.6). Rejects with `UNREACHABLE` where it does not, or
 * not in time. What the proxy sees and can change is for TLS above it to guard.
 */
export async function openTunnel(proxy: URL, to: Destination, signal?: AbortSignal): Promise<Duplex> {
  const place = `${isIPv6(to.hostname) ? `[${to.hostname}]` : to.hostname}:${to.port}`;
  const inTime = AbortSignal.timeout(OPEN_WITHIN_MS);
  const send = proxy.protocol === 'https:' ? requestOverHttps : requestOverHttp;
  const request = send({
    method: 'CONNECT',
    host: proxy.hostname.replaceAll(/^\[|\]$/g, ''),
    ...(proxy.port !== '' && { port: proxy.port }),
    path: place,
    headers: { host: place, ...authorization(proxy) },
    // By itself: the shared one would look for a way to the proxy through the proxy.
    agent: false,
    signal: signal === undefined ? inTime : AbortSignal.any([signal, inTime]),
  });
  return new Promise<Duplex>((resolve, reject) => {
    const refuse = (reason: string, cause?: unknown): void =>
      reject(
        new CoPilotError('UNREACHABLE', `the proxy ${proxy.host} leads to no ${place}: ${reason}`, { cause }),
      );
    request.on('connect', ({ statusCode }, socket, head) => {
      if (statusCode === 200) {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
        return;
      }
      socket.destroy();
      refuse(`it answered ${statusCode}`);
    });
    request.on('response', ({ statusCode }) => {
      request.destroy();
      refuse(`it answered ${statusCode}`);
    });
    request.on('error', (error) => refuse(error.message, error));
    request.end();
  });
}

function authorization({ username, password }: URL): { readonly 'proxy-authorization'?: string } {
  if (username === '' && password === '') return {};
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(login).toString('base64')}` };
}
