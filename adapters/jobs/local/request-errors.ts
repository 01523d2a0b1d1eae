import type { FastifyError, FastifyReply } from 'fastify';
import { CoPilotError, type ErrorCode, toCoPilotError } from '../../../protocol/errors.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';

const STATUS: Partial<Record<ErrorCode, number>> = {
  INVALID_REQUEST: 400,
  DIGEST_MISMATCH: 400,
  NOT_AUTHORIZED: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  LENGTH_REQUIRED: 411,
  QUOTA_EXCEEDED: 413,
  RATE_LIMITED: 429,
  UNREACHABLE: 502,
  QUEUE_UNAVAILABLE: 503,
  QUEUE_FULL: 507,
};

/** Answers `{code, message}`; what is our own fault goes to the log and not to the caller. */
export function answerError(reply: FastifyReply, error: CoPilotError, log: Log): FastifyReply {
  const status = STATUS[error.code] ?? 500;
  if (status >= 500) log.error({ error }, 'a request failed');
  const message = error.code === 'INTERNAL' ? 'the local queue failed; its log says why' : error.message;
  return reply.code(status).send({ code: error.code, message });
}

/** What fastify itself refuses (a body that is no JSON or too large, a field against the schema) is the request's fault. */
export function asCoPilotError(error: FastifyError): CoPilotError {
  const status = error.statusCode ?? 500;
  return status >= 400 && status < 500
    ? new CoPilotError('INVALID_REQUEST', error.message, { cause: error })
    : toCoPilotError(error);
}
