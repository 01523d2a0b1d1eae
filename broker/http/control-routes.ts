import Fastify, { type FastifyInstance } from 'fastify';
import { CoPilotError, type ErrorCode, toCoPilotError } from '../../protocol/errors.ts';
import type { SnapshotDesk } from '../../protocol/runtime/snapshot-desk.ts';
import { addSnapshotRoutes } from '../../protocol/runtime/snapshot-routes.ts';
import type { Clock, Log } from '../../protocol/runtime/runtime.ts';
import { endSlowRequests } from '../../protocol/runtime/slow-requests.ts';
import type { Enrolment } from '../enrolment/enrolment.ts';
import type { LedgerKeeping } from '../ledger/keeping.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Broker } from '../service/broker.ts';
import type { QueueConfiguration } from '../service/configuration.ts';
import { addAgentRoutes } from './agent-routes.ts';
import { addWhyRoute } from './why-routes.ts';

export interface ControlOptions {
  readonly broker: Broker;
  readonly enrolment: Enrolment;
  readonly ledger: Ledger & LedgerKeeping;
  readonly queues: readonly QueueConfiguration[];
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  /** Copies of what the broker keeps; without it none are made. */
  readonly snapshots?: SnapshotDesk;
  readonly clock: Clock;
  readonly log: Log;
  /** How long one request may take to arrive. */
  readonly requestTimeoutMs?: number;
}

const STATUS: Partial<Record<ErrorCode, number>> = { INVALID_REQUEST: 400, NOT_FOUND: 404, CONFLICT: 409 };
const MAX_BODY_BYTES = 64 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_PAGE = 1000;
const MAX_CODE_SECONDS = 30 * 24 * 3600;

const codeSchema = {
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['owner', 'site', 'seconds'],
    properties: {
      owner: { type: 'string', pattern: '^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$' },
      site: { type: 'string', pattern: '^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$' },
      seconds: { type: 'integer', minimum: 1, maximum: MAX_CODE_SECONDS },
    },
  },
} as const;

/** What the operator's command line asks of a running broker, over a socket only its user reaches. */
export function createControlServer(options: ControlOptions): FastifyInstance {
  const {
    broker,
    enrolment,
    ledger,
    queues,
    metrics,
    snapshots,
    clock,
    log,
    requestTimeoutMs = REQUEST_TIMEOUT_MS,
  } = options;
  const server = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    ...endSlowRequests(requestTimeoutMs),
    logger: false,
  });

  server.setErrorHandler((caught, _request, reply) => {
    const error = readError(caught);
    if (error.code === 'INTERNAL') log.error({ err: caught }, 'a control request failed');
    void reply.code(STATUS[error.code] ?? 500).send({ code: error.code, message: error.message });
  });
  server.setNotFoundHandler(() => {
    throw new CoPilotError('NOT_FOUND', 'there is nothing here');
  });
  server.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  );
  server.get('/v1/status', async () => ({ ...broker.status(), jobs: await ledger.count() }));
  server.get('/v1/queues', async () => ({ queues }));
  server.get<{ Params: { id: string } }>('/v1/jobs/:id', async ({ params }) => {
    const stored = await ledger.job(params.id);
    if (stored === undefined) throw new CoPilotError('NOT_FOUND', `no job ${params.id} in the ledger`);
    return stored;
  });
  server.get<{ Querystring: { after?: string; limit?: string } }>('/v1/jobs', async ({ query }) => {
    const limit = Math.min(MAX_PAGE, Math.max(1, Number(query.limit ?? MAX_PAGE) || MAX_PAGE));
    return { jobs: await ledger.list({ kind: 'all' }, query.after ?? '', limit) };
  });
  server.get<{ Querystring: { after?: string } }>('/v1/accounts', async ({ query }) => ({
    accounts: await ledger.accounts(query.after ?? '', MAX_PAGE),
  }));
  server.post<{ Body: { owner: string; site: string; seconds: number } }>(
    '/v1/codes',
    { schema: codeSchema },
    async ({ body }) => {
      const { owner, site, seconds } = body;
      return { code: await enrolment.issueCode({ owner, site, tier: 'untrusted' }, seconds), seconds };
    },
  );
  server.get('/v1/pin', async () => ({ pin: enrolment.pin() }));
  addAgentRoutes(server, { broker, ledger, clock });
  addWhyRoute(server, broker);
  if (snapshots !== undefined) addSnapshotRoutes(server, snapshots);
  return server;
}

/** A body that cannot be read, or is not as it should be, is the caller's fault. */
function readError(caught: unknown): CoPilotError {
  const isCallers =
    caught instanceof Error &&
    'statusCode' in caught &&
    typeof caught.statusCode === 'number' &&
    caught.statusCode < 500;
  return isCallers && !(caught instanceof CoPilotError)
    ? new CoPilotError('INVALID_REQUEST', caught.message, { cause: caught })
    : toCoPilotError(caught);
}
