import { Duplex } from 'node:stream';
import { type ChannelModel, connect } from 'amqplib';
import { CoPilotError, type ErrorCode } from '../errors.ts';
import { MAX_CHANNELS, VIRTUAL_HOST } from './amqp-topology.ts';
import { openTunnel, proxyFor } from './proxy-tunnel.ts';

/** What a connection is opened with; the server judges both together. */
export interface Credential {
  readonly user: string;
  readonly password: string;
}

const CONNECT_WITHIN_MS = 10_000;
/** A side that is silent for two of these is gone. */
const HEARTBEAT_SECONDS = 10;
const FRAME_BYTES = 128 * 1024;
const TLS_PORT = 5671;

/**
 * Opens a connection to `amqp:` or `amqps://host[:port][/virtual-host]`. Rejects with `NOT_AUTHORIZED` where the server refuses
 * the credential, with `UNREACHABLE` where there is no server, or one whose certificate does not hold. With TLS it goes through the proxy that the
 * environment names (docs/buses.md).
 */
export async function connectAmqp(
  url: string,
  { user, password }: Credential,
  signal?: AbortSignal,
): Promise<ChannelModel> {
  const { protocol, hostname, port, pathname } = new URL(url);
  const target = {
    protocol: protocol.slice(0, -1),
    hostname: hostname.replaceAll(/^\[|\]$/g, ''),
    ...(port !== '' && { port: Number(port) }),
    vhost: pathname.length > 1 ? pathname.slice(1) : VIRTUAL_HOST,
    username: user,
    password,
    heartbeat: HEARTBEAT_SECONDS,
    frameMax: FRAME_BYTES,
    maxFrameSize: FRAME_BYTES,
    channelMax: MAX_CHANNELS,
  };
  // Without it each confirm waits for the next one's company: 34 instead of 2,000 round trips a second.
  const tunnel = protocol === 'amqps:' ? await tunnelTo(target, signal) : undefined;
  const socket = {
    ...(tunnel && { socket: tunnel }),
    noDelay: true,
    keepAlive: true,
    timeout: CONNECT_WITHIN_MS,
    ...(signal && { signal }),
  };
  try {
    return await connect(target, socket);
  } catch (cause) {
    tunnel?.destroy();
    throw refusal(url, cause);
  }
}

async function tunnelTo(
  { hostname, port = TLS_PORT }: { readonly hostname: string; readonly port?: number },
  signal?: AbortSignal,
): Promise<Duplex | undefined> {
  const to = { hostname, port };
  const proxy = proxyFor(to, process.env);
  return proxy && openTunnel(proxy, to, signal);
}

/** The library says what happened before the connection was open in words alone. */
function refusal(url: string, cause: unknown): CoPilotError {
  const text = cause instanceof Error ? cause.message : String(cause);
  const { host } = new URL(url);
  return /\b403\b/.test(text)
    ? new CoPilotError('NOT_AUTHORIZED', `the bus at ${host} refused the login`, { cause })
    : new CoPilotError('UNREACHABLE', `no bus answers at ${host}: ${text}`, { cause });
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  403: 'NOT_AUTHORIZED',
  404: 'NOT_FOUND',
  405: 'CONFLICT',
  406: 'CONFLICT',
};

/** What the server's refusal of one operation means. */
export function channelError(caught: unknown): CoPilotError {
  if (caught instanceof CoPilotError) return caught;
  const text = caught instanceof Error ? caught.message : String(caught);
  const reply = caught instanceof Error && 'code' in caught ? Number(caught.code) : 0;
  // Another connection of the same agent reads the queue: no question of rights, and over when that one is.
  const code = text.includes('exclusive use') ? 'CONFLICT' : CODES[reply];
  return new CoPilotError(code ?? 'UNREACHABLE', text, { cause: caught });
}

/** Cuts a connection whose server does not answer. */
export function cut(model: ChannelModel): void {
  // With an error, so that the library lets go of its timers.
  socketOf(model)?.destroy(new Error('the connection was cut'));
}

/**
 * Called before something is written: what else is written in the same turn goes to the socket with it. The library gives each
 * message to the system by itself, which is half of what a message costs.
 */
export function gatherWrites(model: ChannelModel): () => void {
  const socket = socketOf(model);
  let isGathering = false;
  const flush = (): void => {
    isGathering = false;
    socket?.uncork();
  };
  return () => {
    if (isGathering) return;
    isGathering = true;
    socket?.cork();
    // In the first turn the library moves to the socket what it was given; the second one sends it.
    setImmediate(() => setImmediate(flush));
  };
}

function socketOf({ connection }: ChannelModel): Duplex | undefined {
  return 'stream' in connection && connection.stream instanceof Duplex ? connection.stream : undefined;
}
