import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import { isStorageCode, STORAGE_STATUS } from '../../../protocol/storage-codes.ts';
import type { StorageCode } from '../../../protocol/storage-codes.ts';
import type { FaceParts } from './face-parts.ts';
import { drain } from './request-fields.ts';

const CHALLENGES: Readonly<Partial<Record<StorageCode, string>>> = {
  CAPABILITY_EXPIRED: 'DPoP error="invalid_token", algs="EdDSA"',
  CAPABILITY_INVALID: 'DPoP error="invalid_token", algs="EdDSA"',
  CAPABILITY_WRONG_KEY: 'DPoP error="invalid_token", algs="EdDSA"',
  DPOP_INVALID: 'DPoP error="invalid_dpop_proof", algs="EdDSA"',
  DPOP_NONCE_REQUIRED: 'DPoP error="use_dpop_nonce", algs="EdDSA"',
  DPOP_REPLAYED: 'DPoP error="invalid_dpop_proof", algs="EdDSA"',
  NOT_AUTHORIZED: 'DPoP algs="EdDSA", Bearer',
};

/** The one way out for whatever went wrong; what is not one of our codes is our fault and told nobody but the log. */
export function refuse(
  parts: FaceParts,
  caught: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const error = isBadRequest(caught)
    ? new CoPilotError('MALFORMED_REQUEST', 'the request is not understood', { cause: caught })
    : toCoPilotError(caught);
  const code: StorageCode = isStorageCode(error.code) ? error.code : 'INTERNAL';
  parts.meter.add('copilot_bridge_refusals_total', code);
  const fields = { errorCode: code, method: request.method, path: request.originalUrl.slice(0, 256) };
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

/** What is no HTTP at all, or headers that are too long or too slow. */
export function refuseConnection(error: Error, socket: Socket): void {
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
