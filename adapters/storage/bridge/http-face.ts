import Fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CoPilotError } from '../../../protocol/errors.ts';
import { admitAgent } from './agent-gate.ts';
import type { FaceParts } from './face-parts.ts';
import { requireOperator, serveOperator } from './operator-requests.ts';
import { refuse, refuseConnection } from './refusal.ts';
import { single } from './request-fields.ts';
import { sendInput } from './send-file.ts';
import { parseTarget } from './target.ts';
import { serveUpload } from './upload-requests.ts';

const MAX_HEADER_BYTES = 8 * 1024;

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
  app.route({
    method: ['GET', 'HEAD', 'PUT', 'PATCH'],
    url: '/',
    handler: (request, reply) => track(parts, dispatch(parts, request, reply)),
  });
  return app;
}

async function track<T>(parts: FaceParts, serving: Promise<T>): Promise<T> {
  parts.served.add(serving);
  try {
    return await serving;
  } finally {
    parts.served.delete(serving);
  }
}

async function dispatch(
  parts: FaceParts,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const target = parseTarget(request.originalUrl);
  const authorization = request.headers.authorization ?? '';
  if (authorization.startsWith('Bearer ')) {
    requireOperator(parts, authorization.slice('Bearer '.length));
    return serveOperator(parts, target, request, reply);
  }
  reply.header('DPoP-Nonce', parts.freshness.nonce()).header('Cache-Control', 'no-store');
  const claims = admitAgent(parts, {
    method: request.method,
    url: parts.baseUrl() + request.originalUrl,
    target,
    authorization,
    proof: single(request.headers.dpop),
  });
  if (target.kind === 'input') return sendInput(parts, target.sha256, 'agent', request, reply);
  return serveUpload(parts, claims, request, reply);
}
