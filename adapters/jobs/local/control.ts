import { type FastifyError, type FastifyInstance, fastify } from 'fastify';
import { CoPilotError } from '../../../protocol/errors.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { endSlowRequests } from '../../../protocol/runtime/slow-requests.ts';
import { addCampaignRoutes } from './campaign-routes.ts';
import { CONTROL_SCHEMAS, controlValidator } from './control-schema.ts';
import { answerError, asCoPilotError } from './request-errors.ts';
import { closeToOthers, prepareSocketPath } from '../../../protocol/runtime/control-socket.ts';
import type { SnapshotDesk } from '../../../protocol/runtime/snapshot-desk.ts';
import { addSnapshotRoutes } from '../../../protocol/runtime/snapshot-routes.ts';
import { createEventStream, type EventStream } from './event-stream.ts';
import type { LocalQueue } from './local-queue.ts';
import { noSuchJob } from './queue-store.ts';
import type { JobFilter, Submission } from './queued-job.ts';
import { createThroughput } from './throughput.ts';

/** Largest body of a request. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

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
  readonly metrics?: { readonly contentType: string; text(): Promise<string> };
  /** Copies of the queue; without it none are made. */
  readonly snapshots?: SnapshotDesk;
  readonly log: Log;
  /** How long one request may take to arrive. */
  readonly requestTimeoutMs?: number;
}

export function createControl(options: ControlOptions): Control {
  const { queue, path, clock = nodeClock, snapshots, log } = options;
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS } = options;
  const stream = createEventStream(queue, clock);
  const throughput = createThroughput(clock);
  const stopMeasuring = queue.onChange((changes) => throughput.note(changes));
  const server = fastify({
    bodyLimit: MAX_BODY_BYTES,
    ...endSlowRequests(requestTimeoutMs),
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
  addCampaignRoutes(server, { queue, throughput });
  addEventRoute(server, stream);
  const { metrics } = options;
  if (metrics !== undefined)
    server.get('/metrics', async (_request, reply) =>
      reply.type(metrics.contentType).send(await metrics.text()),
    );
  if (snapshots !== undefined) addSnapshotRoutes(server, snapshots);

  return {
    async start() {
      await prepareSocketPath(path);
      await server.listen({ path });
      await closeToOthers(path);
      log.info({ path }, 'control socket open');
    },
    async stop() {
      stopMeasuring();
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
    if (detail === undefined) throw new CoPilotError('NOT_FOUND', noSuchJob(params.job));
    return detail;
  });
  server.post<{ Params: { job: string } }>('/v1/jobs/:job/cancel', job, ({ params }) =>
    queue.cancel(params.job),
  );
  server.post<{ Params: { job: string } }>('/v1/jobs/:job/retry', job, async ({ params }) => ({
    job: await queue.retry(params.job),
  }));
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

function asObject(schema: unknown): object {
  return typeof schema === 'object' && schema !== null ? schema : {};
}
