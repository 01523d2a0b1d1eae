import Fastify, { type FastifyInstance } from 'fastify';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Log } from '../../protocol/runtime/runtime.ts';
import { endSlowRequests } from '../../protocol/runtime/slow-requests.ts';
import type { BusAccess, BusQuestion } from '../enrolment/bus-access.ts';

/** What a bus asks us, by path; rabbitmq.conf names the same. */
export const BUS_PATHS = {
  user: '/v1/bus/user',
  vhost: '/v1/bus/vhost',
  resource: '/v1/bus/resource',
  topic: '/v1/bus/topic',
} as const;

/** Whoever has it may use the server's management, for what is its own. */
const MANAGEMENT_TAG = 'management';

const MAX_QUESTION_BYTES = 8 * 1024;
const REQUEST_TIMEOUT_MS = 5_000;

/** Answers a bus that asks by HTTP who may do what: `allow` or `deny`, and `deny` to whatever it cannot read. */
export function createBusServer({
  access,
  log,
}: {
  readonly access: BusAccess;
  readonly log: Log;
}): FastifyInstance {
  const server = Fastify({
    bodyLimit: MAX_QUESTION_BYTES,
    ...endSlowRequests(REQUEST_TIMEOUT_MS),
    logger: false,
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, new URLSearchParams(String(body))),
  );
  server.setErrorHandler((error, _request, reply) => {
    log.warn({ error }, 'a question of the bus could not be answered');
    void reply.code(200).send('deny');
  });
  const answer = (path: string, decide: (form: URLSearchParams) => Promise<boolean>): void => {
    server.post(path, async ({ body }) => ((await decide(formOf(body))) ? 'allow' : 'deny'));
  };
  server.post(BUS_PATHS.user, async ({ body }) => {
    const form = formOf(body);
    const [user, password] = [field(form, 'username'), field(form, 'password')];
    if (access.mayEvict(user, password)) return `allow ${MANAGEMENT_TAG}`;
    return (await access.mayLogIn(user, password)) ? 'allow' : 'deny';
  });
  answer(BUS_PATHS.vhost, (form) => access.mayEnter(field(form, 'username'), field(form, 'vhost')));
  answer(BUS_PATHS.resource, (form) => access.mayUse(questionOf(form)));
  answer(BUS_PATHS.topic, (form) => access.mayPublish(questionOf(form), field(form, 'routing_key')));
  return server;
}

function formOf(body: unknown): URLSearchParams {
  if (body instanceof URLSearchParams) return body;
  throw new CoPilotError('INVALID_REQUEST', 'the question is no form');
}

function questionOf(form: URLSearchParams): BusQuestion {
  return {
    user: field(form, 'username'),
    virtualHost: field(form, 'vhost'),
    resource: field(form, 'resource'),
    name: field(form, 'name'),
    permission: field(form, 'permission'),
  };
}

/** Said once: of a name that is said twice nobody knows which one the bus means. */
function field(form: URLSearchParams, name: string): string {
  const [value, ...more] = form.getAll(name);
  if (value === undefined || more.length > 0)
    throw new CoPilotError('INVALID_REQUEST', `the question does not say ${name} once`);
  return value;
}
