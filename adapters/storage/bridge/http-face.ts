import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import Fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { digestField, sha256OfField } from '../../../protocol/digest-field.ts';
import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import { isStorageCode, STORAGE_STATUS } from '../../../protocol/storage-codes.ts';
import type { StorageCode } from '../../../protocol/storage-codes.ts';
import { admitAgent } from './agent-gate.ts';
import type { GateParts } from './agent-gate.ts';
import type { CapabilityClaims } from './capability-token.ts';
import { putInput } from './inputs.ts';
import type { InputParts } from './inputs.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import { parseRange } from './range.ts';
import { parseTarget } from './target.ts';
import type { Target } from './target.ts';
import type { Declared, Uploads } from './uploads.ts';

export interface FaceParts extends GateParts, InputParts {
  readonly log: Log;
  readonly uploads: Uploads;
  /** SHA-256 of the token the trusted side brings. */
  readonly operatorDigest: Uint8Array;
  /** What agents reach the bridge by; known once it listens. */
  readonly baseUrl: () => string;
  /** Aborted as the bridge stops. */
  readonly stopping: AbortSignal;
}

const MAX_HEADER_BYTES = 8 * 1024;
/** What is still read of a body nobody wants, so that its sender hears why; beyond it the connection is cut. */
const MAX_DISCARDED_BYTES = 16 * 1024 * 1024;
const CHUNK_TYPE = 'application/offset+octet-stream';
const CHALLENGES: Readonly<Partial<Record<StorageCode, string>>> = {
  CAPABILITY_EXPIRED: 'DPoP error="invalid_token", algs="EdDSA"',
  CAPABILITY_INVALID: 'DPoP error="invalid_token", algs="EdDSA"',
  CAPABILITY_WRONG_KEY: 'DPoP error="invalid_token", algs="EdDSA"',
  DPOP_INVALID: 'DPoP error="invalid_dpop_proof", algs="EdDSA"',
  DPOP_NONCE_REQUIRED: 'DPoP error="use_dpop_nonce", algs="EdDSA"',
  DPOP_REPLAYED: 'DPoP error="invalid_dpop_proof", algs="EdDSA"',
  NOT_AUTHORIZED: 'DPoP algs="EdDSA", Bearer',
};

/** The bridge's HTTP server, not listening yet. Every refusal leaves through one place, as JSON with a stable code. */
export function createHttpFace(parts: FaceParts): FastifyInstance {
  const { limits } = parts;
  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    keepAliveTimeout: limits.idleMs,
    connectionTimeout: limits.idleMs * 2,
    forceCloseConnections: 'idle',
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: limits.headersMs,
      requestTimeout: 0,
      connectionsCheckingInterval: Math.max(100, limits.headersMs / 4),
    },
    // The router would decode and normalise; what hostile URLs mean is decided in one place of our own.
    rewriteUrl: () => '/',
    clientErrorHandler: refuseConnection,
  });
  app.server.maxConnections = limits.connections;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.setErrorHandler((error, request, reply) => refuse(parts, error, request, reply));
  app.setNotFoundHandler(() => {
    throw new CoPilotError('NOT_FOUND', 'no such method');
  });
  const downloads = { count: 0 };
  app.route({
    method: ['GET', 'HEAD', 'PUT', 'PATCH'],
    url: '/',
    handler: (request, reply) => dispatch(parts, downloads, request, reply),
  });
  return app;
}

async function dispatch(
  parts: FaceParts,
  downloads: { count: number },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const target = parseTarget(request.originalUrl);
  const authorization = request.headers.authorization ?? '';
  if (authorization.startsWith('Bearer ')) {
    requireOperator(parts, authorization.slice('Bearer '.length));
    return serveOperator(parts, downloads, target, request, reply);
  }
  reply.header('DPoP-Nonce', parts.freshness.nonce()).header('Cache-Control', 'no-store');
  const claims = admitAgent(parts, {
    method: request.method,
    url: parts.baseUrl() + request.originalUrl,
    target,
    authorization,
    proof: single(request.headers.dpop),
  });
  if (target.kind === 'input') return sendInput(parts, downloads, target.sha256, request, reply);
  return serveUpload(parts, claims, request, reply);
}

async function serveUpload(
  parts: FaceParts,
  claims: CapabilityClaims,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const ref = { job: claims.job, attempt: claims.attempt };
  switch (request.method) {
    case 'HEAD': {
      const state = await parts.uploads.state(ref, claims.name);
      if (state === undefined) throw new CoPilotError('NOT_FOUND', 'the upload was not begun');
      return reply.header('Upload-Offset', state.offset).header('Upload-Length', state.length).send();
    }
    case 'PUT': {
      const length = contentLength(request);
      const declared = declare(claims, length, request);
      const outcome = await parts.uploads.put(declared, { stream: request.raw, length });
      drain(request.raw);
      return reply
        .code(outcome === 'created' ? 201 : 200)
        .header('Upload-Offset', length)
        .send();
    }
    default: {
      const state = await append(parts, claims, request);
      return reply
        .code(204)
        .header('Upload-Offset', state.offset)
        .header('Upload-Length', state.length)
        .send();
    }
  }
}

function append(
  parts: FaceParts,
  claims: CapabilityClaims,
  request: FastifyRequest,
): ReturnType<Uploads['append']> {
  if (request.headers['content-type'] !== CHUNK_TYPE)
    throw new CoPilotError('MALFORMED_REQUEST', `a piece has Content-Type: ${CHUNK_TYPE}`);
  const length = contentLength(request);
  const size = wholeNumber(single(request.headers['upload-length']));
  const offset = wholeNumber(single(request.headers['upload-offset']));
  if (size === undefined || offset === undefined)
    throw new CoPilotError('LENGTH_REQUIRED', 'a piece states Upload-Length and Upload-Offset');
  return parts.uploads.append(declare(claims, size, request), {
    offset,
    body: { stream: request.raw, length },
    contentDigest: contentDigest(request),
  });
}

/** What the sender promises of the file, held against what its capability pins before any byte lands. */
function declare(claims: CapabilityClaims, size: number, request: FastifyRequest): Declared {
  const stated = wholeNumber(single(request.headers['upload-length'])) ?? size;
  if (stated !== size) throw new CoPilotError('MALFORMED_REQUEST', 'Upload-Length is not Content-Length');
  const sha256 = sha256OfField(single(request.headers['repr-digest']) ?? '');
  if (sha256 === undefined)
    throw new CoPilotError('MALFORMED_REQUEST', 'an upload states Repr-Digest with one sha-256');
  if (claims.sha256 !== undefined && claims.sha256 !== sha256)
    throw new CoPilotError('DIGEST_MISMATCH', 'the capability is for other bytes');
  const { job, attempt, name, max, total } = claims;
  return { ref: { job, attempt }, name, size, sha256, allowance: { max, total } };
}

function contentDigest(request: FastifyRequest): string | undefined {
  const field = single(request.headers['content-digest']);
  if (field === undefined) return undefined;
  const sha256 = sha256OfField(field);
  if (sha256 === undefined)
    throw new CoPilotError('MALFORMED_REQUEST', 'Content-Digest holds one sha-256, where there is one');
  return sha256;
}

async function serveOperator(
  parts: FaceParts,
  downloads: { count: number },
  target: Target,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (target.kind === 'input' && request.method === 'PUT') {
    const length = contentLength(request);
    const body = { stream: request.raw, length };
    const outcome = await putInput(parts, target.sha256, body, parts.stopping);
    drain(request.raw);
    return reply.code(outcome === 'created' ? 201 : 200).send();
  }
  if (!isRead || target.kind === 'upload') throw new CoPilotError('NOT_FOUND', 'no such method');
  if (target.kind === 'input') return sendInput(parts, downloads, target.sha256, request, reply);
  return sendResult(parts, downloads, target, request, reply);
}

/** Only what is registered as its job's result is shown: anything else may still turn out to be junk. */
async function sendResult(
  parts: FaceParts,
  downloads: { count: number },
  target: Extract<Target, { kind: 'result' | 'manifest' }>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { tables } = parts.registry;
  const ref = { job: target.job, attempt: target.attempt };
  if (tables.result(ref.job) !== ref.attempt) throw new CoPilotError('NOT_FOUND', 'no such result');
  const files = tables.files(ref).map(({ name, size, sha256 }) => ({ name, size, sha256 }));
  if (target.kind === 'manifest') return reply.send({ ...ref, files });
  const file = files.find(({ name }) => name === target.name);
  if (file === undefined) throw new CoPilotError('NOT_FOUND', 'the result has no such file');
  return sendFile(parts, downloads, { ...file, path: parts.places.file(ref, file.name) }, request, reply);
}

function sendInput(
  parts: FaceParts,
  downloads: { count: number },
  sha256: string,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const size = parts.registry.tables.input(sha256);
  if (size === undefined) throw new CoPilotError('NOT_FOUND', 'no such input');
  return sendFile(parts, downloads, { size, sha256, path: parts.places.input(sha256) }, request, reply);
}

interface SentFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

function sendFile(
  parts: FaceParts,
  downloads: { count: number },
  file: SentFile,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const range = parseRange(request.headers.range, file.size);
  const { start, end } = range ?? { start: 0, end: file.size };
  reply
    .code(range === undefined ? 200 : 206)
    .header('Accept-Ranges', 'bytes')
    .header('Content-Length', end - start)
    .header('Content-Type', 'application/octet-stream')
    .header('ETag', `"${file.sha256}"`)
    .header('Repr-Digest', digestField(file.sha256))
    .header('X-Content-Type-Options', 'nosniff');
  if (range !== undefined) reply.header('Content-Range', `bytes ${start}-${end - 1}/${file.size}`);
  if (request.method === 'HEAD') return reply.send();
  if (downloads.count >= parts.limits.downloads) throw new CoPilotError('STORAGE_BUSY', 'too many downloads');
  downloads.count++;
  reply.raw.once('close', () => downloads.count--);
  return reply.send(parts.disk.read(file.path, start, end));
}

/** Compares digests, whose length says nothing of the token's. */
function requireOperator(parts: FaceParts, token: string): void {
  const digest = createHash('sha256').update(token).digest();
  if (!timingSafeEqual(digest, parts.operatorDigest))
    throw new CoPilotError('NOT_AUTHORIZED', 'the token is not the operator’s');
}

/** The one way out for whatever went wrong; what is not one of our codes is our fault and told nobody but the log. */
function refuse(
  parts: FaceParts,
  caught: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const error = isBadRequest(caught)
    ? new CoPilotError('MALFORMED_REQUEST', 'the request is not understood', { cause: caught })
    : toCoPilotError(caught);
  const code: StorageCode = isStorageCode(error.code) ? error.code : 'INTERNAL';
  const fields = { code, method: request.method, path: request.originalUrl.slice(0, 256) };
  if (code === 'INTERNAL') parts.log.error({ ...fields, error: error.stack }, 'a request failed');
  else parts.log.debug(fields, 'refused');
  const challenge = CHALLENGES[code];
  if (challenge !== undefined) reply.header('WWW-Authenticate', challenge);
  // The nonce of the answer may have ended with the very request it answers.
  if (reply.hasHeader('DPoP-Nonce')) reply.header('DPoP-Nonce', parts.freshness.nonce());
  if (code === 'STORAGE_BUSY') reply.header('Retry-After', 1);
  if (code === 'UPLOAD_STALLED' || parts.stopping.aborted) reply.header('Connection', 'close');
  else drain(request.raw);
  const message = code === 'INTERNAL' ? 'the bridge failed' : error.message;
  return reply
    .code(STORAGE_STATUS[code])
    .removeHeader('Content-Length')
    .header('Error-Code', code)
    .type('application/json')
    .send({ code, message });
}

function isBadRequest(caught: unknown): boolean {
  return (
    caught instanceof Error &&
    'statusCode' in caught &&
    typeof caught.statusCode === 'number' &&
    caught.statusCode < 500
  );
}

/** Reads on, within a bound, so that the connection serves the next request. */
function drain(request: IncomingMessage): void {
  if (request.readableEnded || request.destroyed) return;
  let left = MAX_DISCARDED_BYTES;
  request.on('data', (chunk: Uint8Array) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.resume();
}

/** What is no HTTP at all, or headers that are too long or too slow. */
function refuseConnection(error: Error, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const code =
    'code' in error && error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'UPLOAD_STALLED' : 'MALFORMED_REQUEST';
  const body = JSON.stringify({ code, message: 'the request is not understood' });
  socket.end(
    `HTTP/1.1 ${STORAGE_STATUS[code]} Refused\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

function contentLength(request: FastifyRequest): number {
  const length = wholeNumber(request.headers['content-length']);
  if (length === undefined) throw new CoPilotError('LENGTH_REQUIRED', 'an upload states Content-Length');
  return length;
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
