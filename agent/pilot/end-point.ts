import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Log } from '../../protocol/runtime/runtime.ts';
import { findCaller } from './connection-owner.ts';
import { plainReply } from './pilot-exchange.ts';
import type { PilotReply, PilotRequest } from './pilot-exchange.ts';

export interface EndPointOptions {
  readonly log: Log;
  /** Whether the socket at the other end belongs to whom this end point serves. */
  readonly isOurs: (inode: number) => boolean;
  readonly answer: (request: PilotRequest) => Promise<PilotReply>;
}

/** A web server on the loopback, for one job. */
export interface EndPoint {
  readonly port: number;
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 4 * 1024 * 1024;
const MAX_CONNECTIONS = 16;
const MAX_HEADER_BYTES = 16 * 1024;
const HEADERS_WITHIN_MS = 10_000;
const REQUEST_WITHIN_MS = 60_000;

/**
 * Opens an end point on a free port of 127.0.0.1. A connection is looked at before a byte of it is read: unless its other end is a socket
 * that `isOurs` knows, it is closed.
 */
export async function openEndPoint(options: EndPointOptions): Promise<EndPoint> {
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_WITHIN_MS,
    requestTimeout: REQUEST_WITHIN_MS,
    keepAlive: false,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.prependListener('connection', (socket: Socket) => {
    const inode = findCaller({ ownPort: portOf(server), callerPort: socket.remotePort ?? 0 });
    if (inode !== undefined && options.isOurs(inode)) return;
    options.log.warn({}, 'a connection to the end point of a job came from elsewhere and was closed');
    socket.destroy();
  });
  server.on('request', (request, response) => {
    serve(options, request, response).catch((error: unknown) => {
      options.log.debug({ error }, 'a pilot went away before it was answered');
      response.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: portOf(server), close: () => close(server) };
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function serve(
  options: EndPointOptions,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(incoming);
  const { status, contentType, body: bytes } = await replyTo(options, incoming, body);
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': bytes.length,
    Connection: 'close',
  });
  response.end(bytes);
}

async function replyTo(
  options: EndPointOptions,
  incoming: IncomingMessage,
  body: Buffer | undefined,
): Promise<PilotReply> {
  if (body === undefined) return plainReply(413, `ERROR : more than ${MAX_BODY_BYTES} bytes`);
  try {
    return await options.answer({
      verb: incoming.method ?? '',
      target: incoming.url ?? '',
      contentType: headerOf(incoming, 'content-type'),
      accept: headerOf(incoming, 'accept'),
      body,
    });
  } catch (caught) {
    const { code, message } = toCoPilotError(caught);
    options.log.warn({ errorCode: code, reason: message }, 'a pilot could not be answered');
    return plainReply(500, `ERROR : ${code}`);
  }
}

function headerOf(incoming: IncomingMessage, name: 'content-type' | 'accept'): string {
  return incoming.headers[name]?.trim() ?? '';
}

/** Undefined where it is over its bound; the rest is not kept. */
async function readBody(incoming: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    if (!(chunk instanceof Buffer)) continue;
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
