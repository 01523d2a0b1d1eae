import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHttpIntake, type HttpIntake } from '../../../adapters/jobs/local/intake/http-intake.ts';
import { loadTokens } from '../../../adapters/jobs/local/intake/tokens.ts';
import { type LocalQueue, openLocalQueue } from '../../../adapters/jobs/local/local-queue.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { wanted } from '../../conformance/job-adapter.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const TOKENS = { alice: 'a-token-of-alice-that-nobody-guesses', bob: 'another-token-that-bob-has' };
const JOB = { label: 'one', priority: 0, retries: 1, description: wanted('x').description };
const POST = { queue: 'main', campaign: 'mine', jobs: [JOB, JOB] };
const REQUEST_TIMEOUT_MS = 500;

let directory: string;
let queue: LocalQueue;
let intake: HttpIntake;
let url: string;
/** What the store of inputs was given. */
let stored: Map<string, string>;

beforeEach(async () => {
  directory = await temporaryDirectory('intake');
  stored = new Map();
  queue = await openLocalQueue({ path: join(directory, 'queue.sqlite'), random: nodeRandom, log: silentLog });
  await writeTokens();
  intake = createHttpIntake({
    queue,
    tokens: await loadTokens(tokensFile()),
    inputs: { put },
    port: 0,
    names: ['queue.example.org'],
    log: silentLog,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  });
  url = await intake.start();
});
afterEach(async () => {
  await intake.stop();
  await queue.close();
  await removeDirectory(directory);
});

function tokensFile(): string {
  return join(directory, 'tokens');
}

async function writeTokens(): Promise<void> {
  const lines = Object.entries(TOKENS).map(
    ([owner, token]) => `${owner} ${createHash('sha256').update(token).digest('hex')}`,
  );
  await writeFile(tokensFile(), `# who may submit\n\n${lines.join('\n')}\n`, { mode: 0o600 });
}

async function put(sha256: string, _size: number, body: Readable): Promise<void> {
  let text = '';
  for await (const chunk of body) text += String(chunk);
  if (createHash('sha256').update(text).digest('hex') !== sha256)
    throw new CoPilotError('DIGEST_MISMATCH', 'the bytes are not what the digest names');
  stored.set(sha256, text);
}

interface Ask {
  readonly method?: string;
  readonly body?: unknown;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(path: string, { method, body, token = TOKENS.alice, headers = {} }: Ask = {}) {
  const text = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body);
  const call = request(`${url}${path}`, {
    method: method ?? (text === undefined ? 'GET' : 'POST'),
    agent: false,
    headers: {
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      ...(text !== undefined && { 'content-type': 'application/json', 'idempotency-key': 'k' }),
      ...(text !== undefined && { 'content-length': String(Buffer.byteLength(text)) }),
      ...headers,
    },
  });
  call.end(text);
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  let said = '';
  for await (const chunk of answer) said += String(chunk);
  return { status: answer.statusCode, body: said === '' ? undefined : (JSON.parse(said) as unknown) };
}

describe('jobs over HTTP', () => {
  it('are submitted once however often they are posted, shown, counted and cancelled', async () => {
    const first = await ask('/v1/jobs', { body: POST });
    expect(first).toMatchObject({ status: 200, body: { jobs: { length: 2 }, repeated: false } });
    const again = await ask('/v1/jobs', { body: POST });
    expect(again.body).toEqual({ ...(first.body as object), repeated: true });
    const [job = ''] = (first.body as { jobs: string[] }).jobs;
    expect(await ask(`/v1/jobs/${job}`)).toMatchObject({ body: { state: 'pending', owner: 'alice' } });
    expect(await ask('/v1/campaigns/mine')).toMatchObject({ body: { total: 2, states: { pending: 2 } } });
    expect(await ask(`/v1/jobs/${job}/cancel`, { method: 'POST' })).toMatchObject({
      body: { state: 'cancelled' },
    });
    expect(await ask('/v1/campaigns/mine/cancel', { body: { after: 0 } })).toEqual({
      status: 200,
      body: { cancelled: 1, cancelling: 0 },
    });
  });

  it('under a key that stood for others are refused (CONFLICT), and the same key of two owners is two', async () => {
    await ask('/v1/jobs', { body: POST });
    const other = { ...POST, jobs: [JOB] };
    expect(await ask('/v1/jobs', { body: other })).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    const bobs = await ask('/v1/jobs', { body: { ...POST, campaign: 'bobs' }, token: TOKENS.bob });
    expect(bobs).toMatchObject({ status: 200, body: { repeated: false } });
  });

  it('have inputs that are uploaded under their digest', async () => {
    const text = 'events';
    const sha256 = createHash('sha256').update(text).digest('hex');
    const headers = { 'content-type': 'application/octet-stream' };
    const upload = (name: string) => ask(`/v1/inputs/${name}`, { method: 'PUT', body: text, headers });
    expect(await upload(sha256)).toEqual({ status: 200, body: { sha256, size: 6 } });
    expect(stored.get(sha256)).toBe(text);
    expect(await upload('0'.repeat(64))).toMatchObject({ status: 400, body: { code: 'DIGEST_MISMATCH' } });
    const typed = { method: 'PUT', body: { a: 1 } };
    expect(await ask(`/v1/inputs/${sha256}`, typed)).toMatchObject({ status: 400 });
  });
});

describe('attacks on the way in over HTTP (I2, I7, I9)', () => {
  it.each(['', 'wrong', `${TOKENS.alice}x`, TOKENS.alice.slice(0, -1), 'x'.repeat(300)])(
    'without a token that is one, nothing is said: 401 (%s)',
    async (token) => {
      for (const path of ['/v1/campaigns/mine', '/v1/jobs/x', '/nowhere'])
        expect(await ask(path, { token })).toMatchObject({ status: 401, body: { code: 'NOT_AUTHORIZED' } });
      expect((await ask('/v1/jobs', { body: POST, token })).status).toBe(401);
      expect(queue.list({}).jobs).toEqual([]);
    },
  );

  it('guessing tokens is slowed down, and keeps nobody out who has one', async () => {
    const guesses = await Promise.all(
      Array.from({ length: 40 }, (_, at) => ask('/v1/jobs/x', { token: `g${at}` })),
    );
    expect(new Set(guesses.map(({ status }) => status))).toEqual(new Set([401, 429]));
    expect((await ask('/v1/campaigns/none')).status).toBe(404);
  });

  it.each([
    ['another name, as DNS rebinding gives', { host: 'evil.example.org' }],
    ['no port', { host: '127.0.0.1' }],
    ['a web page', { origin: 'http://127.0.0.1' }],
    ['a name of no origin', { origin: 'null' }],
  ])('a request by way of %s is refused before its token is looked at', async (_what, headers) => {
    expect(await ask('/v1/jobs', { body: POST, headers })).toMatchObject({ status: 403 });
    expect(queue.list({}).jobs).toEqual([]);
  });

  it('a name that is configured is served', async () => {
    expect(await ask('/v1/campaigns/none', { headers: { host: 'queue.example.org' } })).toMatchObject({
      status: 404,
    });
  });

  it('another owner sees and cancels nothing, and adds nothing to a campaign', async () => {
    const { body } = await ask('/v1/jobs', { body: POST });
    const [job = ''] = (body as { jobs: string[] }).jobs;
    const { token } = { token: TOKENS.bob };
    for (const path of [`/v1/jobs/${job}`, '/v1/campaigns/mine'])
      expect(await ask(path, { token })).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    for (const path of [`/v1/jobs/${job}/cancel`, '/v1/campaigns/mine/cancel'])
      expect(await ask(path, { token, body: { after: 0 } })).toMatchObject({ status: 404 });
    expect(await ask('/v1/jobs', { token, body: POST })).toMatchObject({ status: 409 });
    expect(queue.campaign('mine')).toMatchObject({ total: 2, states: { pending: 2 } });
  });

  it.each([
    ['an owner of its own choice', { ...POST, owner: 'root' }],
    ['a key in the body', { ...POST, key: 'k' }],
    ['no jobs', { ...POST, jobs: [] }],
    ['more jobs than one request may have', { ...POST, jobs: Array.from({ length: 1_001 }, () => JOB) }],
    ['a campaign that is a path', { ...POST, campaign: '../../etc' }],
    ['no JSON', '{"queue":'],
    ['a list', []],
  ])('a body with %s is refused: 400', async (_what, body) => {
    expect(await ask('/v1/jobs', { body })).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
    expect(queue.list({}).jobs).toEqual([]);
  });

  it('a post without a key, or with a wrong one, is refused', async () => {
    for (const key of ['', 'two words', 'x'.repeat(129)])
      expect(await ask('/v1/jobs', { body: POST, headers: { 'idempotency-key': key } })).toMatchObject({
        status: 400,
      });
  });

  it.each([
    '/v1/jobs/..%2f..%2fetc',
    '/v1/jobs/%00',
    "/v1/campaigns/' OR 1=1",
    '/v1/inputs/../x',
    '/v1/events',
  ])('an id that is a trick is refused (%s)', async (path) => {
    const { status } = await ask(path.replaceAll(' ', '%20').replaceAll("'", '%27'));
    expect([400, 404]).toContain(status);
  });

  it('a body over the bound is refused unread', async () => {
    const headers = { 'content-length': String(17 * 1024 * 1024) };
    const call = request(`${url}/v1/jobs`, {
      method: 'POST',
      agent: false,
      headers: { authorization: `Bearer ${TOKENS.alice}`, 'content-type': 'application/json', ...headers },
    });
    call.on('error', () => undefined); // the server hangs up on what it will not read
    call.write('{');
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(400);
    call.destroy();
  });

  it('a body that comes too slowly is cut off', async () => {
    const { port } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1');
    const head = [
      ...['POST /v1/jobs HTTP/1.1', `Host: 127.0.0.1:${port}`, `Authorization: Bearer ${TOKENS.alice}`],
      ...['Content-Type: application/json', 'Idempotency-Key: k', 'Content-Length: 1000', '', '{'],
    ];
    socket.on('error', () => undefined); // a reset is an end as well
    socket.write(head.join('\r\n'));
    let said = '';
    socket.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await once(socket, 'close');
    expect(said === '' || said.startsWith('HTTP/1.1 408')).toBe(true);
    expect(queue.list({}).jobs).toEqual([]);
  });

  it('an input without a length, or with one over the bound, is refused', async () => {
    const headers = { 'content-type': 'application/octet-stream', 'transfer-encoding': 'chunked' };
    const call = request(`${url}/v1/inputs/${'0'.repeat(64)}`, {
      method: 'PUT',
      agent: false,
      headers: { authorization: `Bearer ${TOKENS.alice}`, ...headers },
    });
    call.end('x');
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(411);
    answer.resume();
    expect(stored.size).toBe(0);
  });
});

describe('the file of tokens', () => {
  it.each([
    ['a token in plain', 'alice secret'],
    ['an owner that is none', `Al!ce ${'0'.repeat(64)}`],
    ['half a digest', `alice ${'0'.repeat(63)}`],
  ])('with %s is refused with its line', async (_what, line) => {
    await writeFile(tokensFile(), `# first\n${line}\n`);
    await expect(loadTokens(tokensFile())).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringContaining(':2:'),
    });
  });

  it('that others may write, or that is not there, is refused', async () => {
    await chmod(tokensFile(), 0o666);
    await expect(loadTokens(tokensFile())).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    await expect(loadTokens(`${tokensFile()}-none`)).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
    });
  });
});
