import { Server } from 'node:https';
import Fastify, { type FastifyInstance } from 'fastify';
import {
  ENROLMENT_PATHS,
  isEnrolmentRequest,
  isRenewalRequest,
  MAX_ENROLMENT_BYTES,
} from '../../protocol/enrolment.ts';
import { CoPilotError, type ErrorCode, toCoPilotError } from '../../protocol/errors.ts';
import type { Clock, Log } from '../../protocol/runtime/runtime.ts';
import { endSlowRequests } from '../../protocol/runtime/slow-requests.ts';
import type { Enrolment } from '../enrolment/enrolment.ts';
import { outwardMessage } from '../service/outward-message.ts';
import type { TlsPair } from './tls-files.ts';
import { type RateLimit, RateLimiter } from '../../protocol/session/rate-limiter.ts';

export interface EnrolmentServerOptions {
  readonly enrolment: Enrolment;
  readonly clock: Clock;
  readonly log: Log;
  /** What it shows of itself; plain HTTP where it is left out. */
  readonly tls?: TlsPair;
  /** Requests from one address: a burst, then one more each interval. */
  readonly limit?: RateLimit;
  /** How long one request may take to arrive. */
  readonly requestTimeoutMs?: number;
}

const REQUEST_TIMEOUT_MS = 10_000;

const STATUS: Partial<Record<ErrorCode, number>> = {
  INVALID_REQUEST: 400,
  ENROLMENT_REFUSED: 403,
  REVOKED: 403,
  TOO_MANY_AGENTS: 403,
  RATE_LIMITED: 429,
  NOT_FOUND: 404,
  ENROLMENT_UNAVAILABLE: 503,
  LEDGER_UNAVAILABLE: 503,
};

/** The public HTTP face: enrolment and renewal of identities, nothing else. */
export function createEnrolmentServer(options: EnrolmentServerOptions): FastifyInstance {
  const { enrolment, log, requestTimeoutMs = REQUEST_TIMEOUT_MS } = options;
  const limiter = new RateLimiter(options.limit ?? { burst: 60, everyMs: 500 });
  const server = Fastify({
    bodyLimit: MAX_ENROLMENT_BYTES,
    ...endSlowRequests(requestTimeoutMs),
    https: options.tls ?? null,
    logger: false,
  });

  server.addHook('onRequest', async (request) => {
    if (!limiter.take(request.ip, options.clock.monotonicMs()))
      throw new CoPilotError('RATE_LIMITED', 'too many requests from this address; try again later');
  });
  server.setErrorHandler((caught, _request, reply) => answerError(caught, log, reply));
  server.setNotFoundHandler((_request, reply) =>
    answerError(new CoPilotError('NOT_FOUND', 'there is nothing here'), log, reply),
  );
  server.post(ENROLMENT_PATHS.challenge, async () => enrolment.challenge());
  server.post(ENROLMENT_PATHS.enrol, async ({ body }) => {
    if (!isEnrolmentRequest(body))
      throw new CoPilotError('INVALID_REQUEST', 'this is no enrolment request (docs/protocol.md, E)');
    return enrolment.enrol(body);
  });
  server.post(ENROLMENT_PATHS.renew, async ({ body }) => {
    if (!isRenewalRequest(body))
      throw new CoPilotError('INVALID_REQUEST', 'this is no renewal request (docs/protocol.md, E)');
    return enrolment.renew(body);
  });
  return server;
}

/** Shows another certificate from the next connection on. */
export function showPair({ server }: FastifyInstance, pair: TlsPair): void {
  if (server instanceof Server) server.setSecureContext(pair);
}

/** Errors as `{code, message}`; what is our own fault goes to the log and not to the caller. */
function answerError(
  caught: unknown,
  log: Log,
  reply: { code(status: number): { send(body: object): unknown } },
): void {
  const isClientFault =
    caught instanceof Error &&
    'statusCode' in caught &&
    typeof caught.statusCode === 'number' &&
    caught.statusCode < 500;
  const error = isClientFault
    ? new CoPilotError('INVALID_REQUEST', 'the request cannot be read', { cause: caught })
    : toCoPilotError(caught);
  if (error.code === 'INTERNAL') log.error({ err: caught }, 'an enrolment request failed');
  void reply.code(STATUS[error.code] ?? 500).send({ code: error.code, message: outwardMessage(error) });
}
