import { createHash } from 'node:crypto';
import { type FastifyError, type FastifyInstance, fastify, type FastifyRequest } from 'fastify';
import type { Readable } from 'node:stream';
import { CoPilotError } from '../../../../protocol/errors.ts';
import { nodeClock } from '../../../../protocol/runtime/node-runtime.ts';
import type { Clock, Log } from '../../../../protocol/runtime/runtime.ts';
import { endSlowRequests } from '../../../../protocol/runtime/slow-requests.ts';
import { RateLimiter } from '../../../../protocol/session/rate-limiter.ts';
import { CONTROL_SCHEMAS, controlValidator, MAX_CANCELLED_AT_ONCE } from '../control-schema.ts';
import type { LocalQueue } from '../local-queue.ts';
import { noSuchCampaign } from '../queue-campaigns.ts';
import { noSuchJob } from '../queue-store.ts';
import type { CampaignSummary, JobDetail, Submission } from '../queued-job.ts';
import { answerError, asCoPilotError } from '../request-errors.ts';
import type { InputStore } from './input-store.ts';
import type { Tokens } from './tokens.ts';

export interface HttpIntakeOptions {
  readonly queue: LocalQueue;
  readonly tokens: Tokens;
  /** Left out where inputs cannot be uploaded here. */
  readonly inputs?: InputStore;
  readonly port: number;
  readonly names?: readonly string[];
  readonly clock?: Clock;
  readonly log: Log;
  /** How long one request may take to arrive. */
  readonly requestTimeoutMs?: number;
}

/** The way in for programs on this machine: HTTP on 127.0.0.1, with a token each. */
export interface HttpIntake {
  /** Answers the address. Rejects with `PORT_TAKEN`. */
  start(): Promise<string>;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_INPUT_BYTES = 4 * 1024 ** 3;
const REQUEST_TIMEOUT_MS = 120_000;
const MAX_CONNECTIONS = 64;
const MAX_UPLOADS = 8;
/** Requests of one owner, and wrong tokens of all together. */
const REQUESTS = { burst: 200, everyMs: 20 };
const WRONG_TOKENS = { burst: 20, everyMs: 1_000 };
const KEY = /^[!-~]{1,128}$/;

type Posted = Pick<Submission, 'queue' | 'campaign' | 'jobs'>;

const { queue: queueName, campaign, jobs } = CONTROL_SCHEMAS.submission.properties;

const SCHEMAS = {
  submission: {
    type: 'object',
    properties: { queue: queueName, campaign, jobs },
    required: ['queue', 'campaign', 'jobs'],
    additionalProperties: false,
  },
  sha256: {
    type: 'object',
    properties: { sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' } },
    required: ['sha256'],
    additionalProperties: false,
  },
} as const;

export function createHttpIntake(options: HttpIntakeOptions): HttpIntake {
  const { log, clock = nodeClock, requestTimeoutMs = REQUEST_TIMEOUT_MS } = options;
  const server = fastify({
    bodyLimit: MAX_BODY_BYTES,
    ...endSlowRequests(requestTimeoutMs),
    forceCloseConnections: true,
    exposeHeadRoutes: false,
  });
  server.server.maxConnections = MAX_CONNECTIONS;
  server.setValidatorCompiler(({ schema, httpPart }) => controlValidator(schema as object, httpPart));
  server.setErrorHandler((error: FastifyError, _request, reply) =>
    answerError(reply, asCoPilotError(error), log),
  );
  server.setNotFoundHandler((_request, reply) =>
    answerError(reply, new CoPilotError('NOT_FOUND', 'no such address'), log),
  );
  const owners = guard(server, options, clock);
  addJobRoutes(server, options.queue, owners);
  addCampaignRoutes(server, options.queue, owners);
  if (options.inputs !== undefined) addInputRoute(server, options.inputs);

  return {
    async start() {
      try {
        return await server.listen({ host: HOST, port: options.port });
      } catch (cause) {
        if (!(cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE')) throw cause;
        throw new CoPilotError(
          'PORT_TAKEN',
          `port ${options.port} is taken by another program; stop it or configure another for intake.http`,
          { cause },
        );
      }
    },
    stop: () => server.close(),
  };
}

type Owners = WeakMap<FastifyRequest, string>;

/** Before anything else of a request is read: it comes to this machine by its name, from no web page, with a token. */
function guard(
  server: FastifyInstance,
  { tokens, names = [] }: HttpIntakeOptions,
  clock: Clock,
): (request: FastifyRequest) => string {
  const owners: Owners = new WeakMap();
  const requests = new RateLimiter(REQUESTS);
  const wrong = new RateLimiter(WRONG_TOKENS);
  server.addHook('onRequest', async (request, reply) => {
    requireOwnHost(request, names);
    const owner = tokens.ownerOf(bearerOf(request));
    if (owner === undefined) {
      if (!wrong.take('all', clock.monotonicMs())) throw tooMany();
      return reply
        .code(401)
        .header('www-authenticate', 'Bearer')
        .send({ code: 'NOT_AUTHORIZED', message: 'a token of intake.http.tokensFile is needed' });
    }
    if (!requests.take(owner, clock.monotonicMs())) throw tooMany();
    owners.set(request, owner);
    return undefined;
  });
  return (request) => {
    const owner = owners.get(request);
    if (owner === undefined) throw new CoPilotError('NOT_AUTHORIZED', 'the request has no owner');
    return owner;
  };
}

/** A page in a browser of this machine may reach the port under a name of its own (DNS rebinding); it cannot send our `Host`. */
function requireOwnHost({ headers, socket }: FastifyRequest, names: readonly string[]): void {
  const port = socket.localPort ?? 0;
  const own = [`127.0.0.1:${port}`, `localhost:${port}`, ...names];
  if (!own.includes(headers.host ?? '') || headers.origin !== undefined)
    throw new CoPilotError(
      'NOT_AUTHORIZED',
      'only programs that know this machine by its own name are served',
    );
}

function bearerOf({ headers }: FastifyRequest): string {
  return /^Bearer ([!-~]{1,256})$/.exec(headers.authorization ?? '')?.[1] ?? '';
}

function tooMany(): CoPilotError {
  return new CoPilotError('RATE_LIMITED', 'too many requests; try again later');
}

function addJobRoutes(
  server: FastifyInstance,
  queue: LocalQueue,
  ownerOf: (request: FastifyRequest) => string,
): void {
  const byJob = { schema: { params: CONTROL_SCHEMAS.job } };
  const own = (request: FastifyRequest, id: string): JobDetail => {
    const job = queue.show(id);
    // Another's job is as one that is not there.
    if (job === undefined || job.owner !== ownerOf(request))
      throw new CoPilotError('NOT_FOUND', noSuchJob(id));
    return job;
  };
  server.post<{ Body: Posted }>('/v1/jobs', { schema: { body: SCHEMAS.submission } }, (request) => {
    const owner = ownerOf(request);
    const key = request.headers['idempotency-key'];
    if (typeof key !== 'string' || !KEY.test(key))
      throw new CoPilotError(
        'INVALID_REQUEST',
        'Idempotency-Key is needed: 1 to 128 printable characters, the same again for the same jobs',
      );
    const known = queue.campaign(request.body.campaign);
    if (known !== undefined && known.owner !== owner)
      throw new CoPilotError(
        'CONFLICT',
        `campaign ${known.campaign} is somebody else's; choose another name`,
      );
    return queue.submit({ ...request.body, owner, key: keyOf(owner, key) });
  });
  server.get<{ Params: { job: string } }>('/v1/jobs/:job', byJob, async (request) =>
    own(request, request.params.job),
  );
  server.post<{ Params: { job: string } }>('/v1/jobs/:job/cancel', byJob, async (request) =>
    queue.cancel(own(request, request.params.job).job),
  );
}

/** Keys of two owners, or of another way in, are never the same. */
function keyOf(owner: string, key: string): string {
  return `http/${owner}/${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
}

function addCampaignRoutes(
  server: FastifyInstance,
  queue: LocalQueue,
  ownerOf: (request: FastifyRequest) => string,
): void {
  const schema = { params: CONTROL_SCHEMAS.campaign };
  const own = (request: FastifyRequest, name: string): CampaignSummary => {
    const campaign = queue.campaign(name);
    if (campaign?.owner !== ownerOf(request)) throw new CoPilotError('NOT_FOUND', noSuchCampaign(name));
    return campaign;
  };
  server.get<{ Params: { campaign: string } }>('/v1/campaigns/:campaign', { schema }, async (request) =>
    own(request, request.params.campaign),
  );
  server.post<{ Params: { campaign: string }; Body: { after: number } }>(
    '/v1/campaigns/:campaign/cancel',
    { schema: { ...schema, body: CONTROL_SCHEMAS.cancelCampaign } },
    async (request) => {
      const { campaign } = own(request, request.params.campaign);
      return queue.cancelCampaign(campaign, { ...request.body, limit: MAX_CANCELLED_AT_ONCE });
    },
  );
}

function addInputRoute(server: FastifyInstance, inputs: InputStore): void {
  let uploads = 0;
  // The bytes go through: nothing of them is kept here.
  server.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  server.put<{ Params: { sha256: string }; Body: Readable | undefined }>(
    '/v1/inputs/:sha256',
    { schema: { params: SCHEMAS.sha256 } },
    async ({ params, headers, body }) => {
      const size = sizeOf(headers['content-length']);
      if (body === undefined || typeof body.pipe !== 'function')
        throw new CoPilotError('INVALID_REQUEST', 'an input is sent as application/octet-stream');
      if (uploads >= MAX_UPLOADS) throw tooMany();
      uploads += 1;
      try {
        await inputs.put(params.sha256, size, body);
        return { sha256: params.sha256, size };
      } finally {
        uploads -= 1;
      }
    },
  );
}

function sizeOf(text: string | undefined): number {
  if (text === undefined || !/^\d{1,15}$/.test(text))
    throw new CoPilotError('LENGTH_REQUIRED', 'Content-Length is needed');
  const size = Number(text);
  if (size <= MAX_INPUT_BYTES) return size;
  throw new CoPilotError('QUOTA_EXCEEDED', `an input is at most ${MAX_INPUT_BYTES} bytes here`);
}
