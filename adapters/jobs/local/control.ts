import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { CoPilotError, type ErrorCode, toCoPilotError } from '../../../protocol/errors.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { CONTROL_SCHEMAS, controlValidator } from './control-schema.ts';
import { closeToOthers, prepareSocketPath } from '../../../protocol/runtime/control-socket.ts';
import type { SnapshotDesk } from '../../../protocol/runtime/snapshot-desk.ts';
import { addSnapshotRoutes } from '../../../protocol/runtime/snapshot-routes.ts';
import { createEventStream, type EventStream } from './event-stream.ts';
import type { LocalQueue } from './local-queue.ts';
import type { JobFilter, Submission } from './queued-job.ts';

/** Largest body of a request. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** How long one request may take to arrive. */
const REQUEST_TIMEOUT_MS = 30_000;

/** The control interface of a local queue: HTTP on a Unix socket that only its user may open. */
export interface Control {
  /** Rejects with `PORT_TAKEN`, `NOT_AUTHORIZED` or `INVALID_REQUEST`. */
  start(): Promise<void>;
  /** Ends what follows, finishes what runs, removes the socket; idempotent. */
  stop(): Promise<void>;
}

export interface ControlOptions {
  readonly queue: LocalQueue;
  /** Of the socket; its directory is made if it is not there, and must be for this user alone. */
  readonly path: string;
  readonly clock?: Clock;
  /** Copies of the queue; without it none are made. */
  readonly snapshots?: SnapshotDesk;
  readonly log: Log;
}

export function createControl(options: ControlOptions): Control {
  const { queue, path, clock = nodeClock, snapshots, log } = options;
  const stream = createEventStream(queue, clock);
  const server = fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
  });
  server.setValidatorCompiler(({ schema, httpPart }) => controlValidator(asObject(schema), httpPart));
  server.setErrorHandler((error: FastifyError, _request, reply) =>
    answerError(reply, asCoPilotError(error), log),
  );
  server.setNotFoundHandler((_request, reply) =>
    answerError(reply, new CoPilotError('NOT_FOUND', 'no such address'), log),
  );
  addJobRoutes(server, queue);
  addCampaignRoute(server, queue);
  addEventRoute(server, stream);
  if (snapshots !== undefined) addSnapshotRoutes(server, snapshots);

  return {
    async start() {
      await prepareSocketPath(path);
      await server.listen({ path });
      await closeToOthers(path);
      log.info({ path }, 'control socket open');
    },
    async stop() {
      stream.stop();
      await server.close();
    },
  };
}

function addJobRoutes(server: FastifyInstance, queue: LocalQueue): void {
  const job = { schema: { params: CONTROL_SCHEMAS.job } };
  server.post<{ Body: Submission }>(
    '/v1/jobs',
    { schema: { body: CONTROL_SCHEMAS.submission } },
    ({ body }) => queue.submit(body),
  );
  server.get<{ Querystring: JobFilter }>(
    '/v1/jobs',
    { schema: { querystring: CONTROL_SCHEMAS.filter } },
    async ({ query }) => queue.list(query),
  );
  server.get<{ Params: { job: string } }>('/v1/jobs/:job', job, async ({ params }) => {
    const detail = queue.show(params.job);
    if (detail === undefined) throw new CoPilotError('NOT_FOUND', `the local queue has no job ${params.job}`);
    return detail;
  });
  server.post<{ Params: { job: string } }>('/v1/jobs/:job/cancel', job, ({ params }) =>
    queue.cancel(params.job),
  );
  server.post<{ Params: { job: string } }>('/v1/jobs/:job/retry', job, async ({ params }) => ({
    job: await queue.retry(params.job),
  }));
}

function addCampaignRoute(server: FastifyInstance, queue: LocalQueue): void {
  const schema = { params: CONTROL_SCHEMAS.campaign };
  server.get<{ Params: { campaign: string } }>('/v1/campaigns/:campaign', { schema }, async ({ params }) => {
    const counts = queue.counts(params.campaign);
    if (counts === undefined) throw new CoPilotError('NOT_FOUND', `no job of a campaign ${params.campaign}`);
    return counts;
  });
}

function addEventRoute(server: FastifyInstance, stream: EventStream): void {
  const schema = { querystring: CONTROL_SCHEMAS.follow };
  server.get<{ Querystring: { campaign?: string } }>('/v1/events', { schema }, (request, reply) => {
    const out = reply.raw;
    out.setHeader('content-type', 'application/jsonl');
    out.setHeader('connection', 'close');
    stream.follow(out, request.query.campaign);
    reply.hijack();
  });
}

function answerError(reply: FastifyReply, error: CoPilotError, log: Log): FastifyReply {
  const status = statusOf(error.code);
  if (status >= 500) log.error({ error }, 'a control request failed');
  const message = error.code === 'INTERNAL' ? 'the local queue failed; its log says why' : error.message;
  return reply.code(status).send({ code: error.code, message });
}

/** What fastify itself refuses (a body that is no JSON or too large, a field against the schema) is the request's fault. */
function asCoPilotError(error: FastifyError): CoPilotError {
  const status = error.statusCode ?? 500;
  return status >= 400 && status < 500
    ? new CoPilotError('INVALID_REQUEST', error.message, { cause: error })
    : toCoPilotError(error);
}

function statusOf(code: ErrorCode): number {
  switch (code) {
    case 'INVALID_REQUEST':
      return 400;
    case 'NOT_FOUND':
      return 404;
    case 'CONFLICT':
      return 409;
    case 'QUEUE_UNAVAILABLE':
      return 503;
    case 'QUEUE_FULL':
      return 507;
    default:
      return 500;
  }
}

function asObject(schema: unknown): object {
  return typeof schema === 'object' && schema !== null ? schema : {};
}
