import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDpopProof } from '../../../protocol/dpop.ts';
import type { Capability } from '../../../protocol/generated/types.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { Answer, BridgeWorld } from '../../doubles/bridge-world.ts';
import {
  asOperator,
  attemptOf,
  createTestAgent,
  crypto,
  fileOf,
  grantFor,
  JOB,
  mintGet,
  mintPut,
  OPERATOR_TOKEN,
  openBridgeWorld,
  OTHER_JOB,
  putInput,
  send,
  someBytes,
} from '../../doubles/bridge-world.ts';

const bytes = someBytes(5000);
let world: BridgeWorld;
let skewMs = 0;
const logged: string[] = [];
/** The machine's clock, moved on by the test: what a token's end is judged by. */
const clock: Clock = { ...nodeClock, wallMs: () => nodeClock.wallMs() + skewMs };
const note = (fields: object, message: string): void => void logged.push(JSON.stringify(fields) + message);
const log: Log = { debug: note, info: note, warn: note, error: note };

beforeEach(async () => {
  skewMs = 0;
  logged.length = 0;
  world = await openBridgeWorld({ clock, log });
});
afterEach(() => world.close());

/** The capability's token, used on another URL or with another verb. */
function misuse(capability: Capability, method: string, url: string): Promise<Answer> {
  const withBody = method === 'PUT' || method === 'PATCH';
  const headers = withBody ? { 'Content-Length': bytes.length } : {};
  return world.agent.ask(capability, { method, url, headers, ...(withBody ? { body: bytes } : {}) });
}

describe('a capability used', () => {
  const cases: readonly (readonly [string, number, string, () => Promise<Answer>])[] = [
    [
      'for another file',
      403,
      'CAPABILITY_WRONG_FILE',
      async () => misuse(await mintPut(world, 'a'), 'PUT', (await mintPut(world, 'b')).url),
    ],
    [
      'for another file by case',
      403,
      'CAPABILITY_WRONG_FILE',
      async () => misuse(await mintPut(world, 'a'), 'PUT', (await mintPut(world, 'A')).url),
    ],
    [
      'for another attempt',
      403,
      'CAPABILITY_WRONG_ATTEMPT',
      async () => misuse(await mintPut(world, 'a'), 'PUT', (await mintPut(world, 'a', { attempt: 2 })).url),
    ],
    [
      'for another job',
      403,
      'CAPABILITY_WRONG_ATTEMPT',
      async () =>
        misuse(await mintPut(world, 'a'), 'PUT', (await mintPut(world, 'a', { job: OTHER_JOB })).url),
    ],
    [
      'to read an upload back',
      403,
      'CAPABILITY_WRONG_VERB',
      async () => {
        const right = await mintPut(world, 'a');
        return misuse(right, 'GET', right.url);
      },
    ],
    [
      'for an input, though it is for an upload',
      403,
      'CAPABILITY_WRONG_VERB',
      async () => misuse(await mintPut(world, 'a'), 'GET', (await mintGet(world, bytes)).url),
    ],
    [
      'to write an input',
      403,
      'CAPABILITY_WRONG_VERB',
      async () => {
        const right = await mintGet(world, bytes);
        return misuse(right, 'PUT', right.url);
      },
    ],
    [
      'to upload, though it is for an input',
      403,
      'CAPABILITY_WRONG_VERB',
      async () => misuse(await mintGet(world, bytes), 'PUT', (await mintPut(world, 'input.dat')).url),
    ],
    [
      'to upload in pieces, though it is for an input',
      403,
      'CAPABILITY_WRONG_VERB',
      async () => misuse(await mintGet(world, bytes), 'PATCH', (await mintPut(world, 'input.dat')).url),
    ],
    [
      'for another input',
      403,
      'CAPABILITY_WRONG_FILE',
      async () => misuse(await mintGet(world, bytes), 'GET', (await mintGet(world, someBytes(9))).url),
    ],
    [
      'for a result',
      401,
      'NOT_AUTHORIZED',
      async () => misuse(await mintGet(world, bytes), 'GET', `${world.url()}/v1/results/${JOB}/1/a`),
    ],
    [
      'for a manifest',
      401,
      'NOT_AUTHORIZED',
      async () => misuse(await mintGet(world, bytes), 'GET', `${world.url()}/v1/results/${JOB}/1`),
    ],
    [
      'with another key',
      401,
      'CAPABILITY_WRONG_KEY',
      async () => createTestAgent().put(await mintPut(world, 'a'), bytes),
    ],
    [
      'after its end',
      401,
      'CAPABILITY_EXPIRED',
      async () => {
        const right = await mintPut(world, 'a');
        skewMs = 900_001;
        return world.agent.put(right, bytes);
      },
    ],
    [
      'after its grant’s end',
      401,
      'CAPABILITY_EXPIRED',
      async () => {
        const right = await mintPut(world, 'a', { lifeSeconds: 10 });
        skewMs = 10_001;
        return world.agent.put(right, bytes);
      },
    ],
    [
      'after verify',
      409,
      'ATTEMPT_CLOSED',
      async () => {
        const right = await mintPut(world, 'a');
        await world.bridge().adapter.verify(attemptOf(), []);
        return world.agent.put(right, bytes);
      },
    ],
    [
      'after commit',
      409,
      'ATTEMPT_CLOSED',
      async () => {
        const right = await mintPut(world, 'a');
        await world.bridge().adapter.finalise(attemptOf(), []);
        return world.agent.put(right, bytes);
      },
    ],
    [
      'to read, after commit',
      409,
      'ATTEMPT_CLOSED',
      async () => {
        const right = await mintGet(world, bytes);
        await world.bridge().adapter.finalise(attemptOf(), []);
        return misuse(right, 'GET', right.url);
      },
    ],
    [
      'after another attempt’s commit',
      409,
      'ATTEMPT_CLOSED',
      async () => {
        const right = await mintPut(world, 'a');
        await world.bridge().adapter.finalise(attemptOf(JOB, 2), []);
        return world.agent.put(right, bytes);
      },
    ],
    [
      'after discard',
      409,
      'ATTEMPT_CLOSED',
      async () => {
        const right = await mintPut(world, 'a');
        await world.bridge().adapter.discard(attemptOf());
        return world.agent.put(right, bytes);
      },
    ],
    [
      'with a changed token',
      401,
      'CAPABILITY_INVALID',
      async () => {
        const right = await mintPut(world, 'a');
        return world.agent.put({ ...right, token: right.token.replace(/^./, 'f') }, bytes);
      },
    ],
    [
      'made by another bridge',
      401,
      'CAPABILITY_INVALID',
      async () => {
        const other = await openBridgeWorld();
        try {
          const { token } = await mintPut(other, 'a');
          return await world.agent.put({ ...(await mintPut(world, 'a')), token }, bytes);
        } finally {
          await other.close();
        }
      },
    ],
  ];

  it.each(cases)('%s: %i %s', async (_what, status, code, attack) => {
    const answer = await attack();
    expect(answer).toMatchObject({ status, code });
    const explained = JSON.parse(answer.body.toString());
    expect(explained).toEqual({ code, message: expect.any(String) });
  });

  it('at its end still lets an upload that is open finish (I6), and no other begin', async () => {
    const right = await mintPut(world, 'a');
    const { hostname, port, pathname } = new URL(right.url);
    await world.agent.head(right);
    const nonce = String((await world.agent.head(right)).headers['dpop-nonce']);
    const proof = createDpopProof(crypto, nodeRandom, world.agent.key, {
      method: 'PUT',
      url: right.url,
      token: right.token,
      nonce,
      wallMs: 0,
    });
    const socket = connect(Number(port), hostname);
    const digest = `sha-256=:${Buffer.from(fileOf('a', bytes).sha256, 'hex').toString('base64')}:`;
    socket.write(
      `PUT ${pathname} HTTP/1.1\r\nHost: x\r\nAuthorization: DPoP ${right.token}\r\nDPoP: ${proof}\r\nContent-Length: ${bytes.length}\r\nRepr-Digest: ${digest}\r\nExpect: 100-continue\r\n\r\n`,
    );
    const [go] = await once(socket, 'data');
    expect(String(go)).toMatch(/^HTTP\/1.1 100/);
    socket.write(bytes.subarray(0, 100));
    await expect.poll(async () => (await world.agent.head(right)).code).toBe('UPLOAD_BUSY');
    skewMs = 901_000;
    expect(await world.agent.head(right)).toMatchObject({ code: 'CAPABILITY_EXPIRED' });
    socket.write(bytes.subarray(100));
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1.1 201/);
    socket.destroy();
  });
});

describe('a proof', () => {
  const proofFor = (right: Capability, nonce: string, change = {}): string =>
    createDpopProof(crypto, nodeRandom, world.agent.key, {
      method: 'HEAD',
      url: right.url,
      token: right.token,
      nonce,
      wallMs: 0,
      ...change,
    });
  const headWith = (right: Capability, proof: string | readonly string[] | undefined): Promise<Answer> =>
    send({
      method: 'HEAD',
      url: right.url,
      headers: {
        Authorization: `DPoP ${right.token}`,
        ...(proof === undefined ? {} : { DPoP: proof as string }),
      },
    });
  const nonceOf = async (right: Capability): Promise<string> =>
    String((await headWith(right, undefined)).headers['dpop-nonce']);

  it('is asked for with a nonce, and every answer brings the next (RFC 9449 section 9)', async () => {
    const right = await mintPut(world, 'a');
    const first = await headWith(right, undefined);
    expect(first).toMatchObject({ status: 401, code: 'DPOP_NONCE_REQUIRED' });
    expect(first.headers['www-authenticate']).toContain('error="use_dpop_nonce"');
    const second = await headWith(right, proofFor(right, String(first.headers['dpop-nonce'])));
    expect(second.status).toBe(404);
    expect(second.headers['dpop-nonce']).toBeTypeOf('string');
  });

  it('is taken once (DPOP_REPLAYED)', async () => {
    const right = await mintPut(world, 'a');
    const proof = proofFor(right, await nonceOf(right));
    expect(await headWith(right, proof)).toMatchObject({ status: 404 });
    expect(await headWith(right, proof)).toMatchObject({ status: 401, code: 'DPOP_REPLAYED' });
  });

  it('is not taken after a restart, when what was spent is forgotten', async () => {
    const right = await mintPut(world, 'a');
    const proof = proofFor(right, await nonceOf(right));
    expect(await headWith(right, proof)).toMatchObject({ status: 404 });
    await world.restart();
    expect(await headWith(right, proof)).toMatchObject({ status: 401, code: 'DPOP_NONCE_REQUIRED' });
  });

  it.each([
    ['for another method', { method: 'PUT' }],
    ['for another URL', { url: 'http://127.0.0.1/v1/attempts/x' }],
    ['for another token', { token: 'other' }],
  ])('%s does not hold (DPOP_INVALID)', async (_what, change) => {
    const right = await mintPut(world, 'a');
    const answer = await headWith(right, proofFor(right, await nonceOf(right), change));
    expect(answer).toMatchObject({ status: 401, code: 'DPOP_INVALID' });
  });

  it('sent twice in one request does not hold', async () => {
    const right = await mintPut(world, 'a');
    const nonce = await nonceOf(right);
    const answer = await headWith(right, [proofFor(right, nonce), proofFor(right, nonce)]);
    expect(answer).toMatchObject({ status: 401, code: 'DPOP_INVALID' });
  });
});

describe('names on the wire', () => {
  it.each([
    '..%2f..%2fetc%2fpasswd',
    '%2e%2e',
    'a%00',
    'a%0d%0aX-Injected:%201',
    '%252e%252e',
    'a%5cb',
    'A%CC%88',
    '%C3%84',
    'a//b',
    '/etc/passwd',
    '.part',
    '..',
  ])('%s is refused (NAME_REFUSED)', async (name) => {
    const right = await mintPut(world, 'a');
    const url = `${world.url()}/v1/attempts/${JOB}/1/${name}`;
    const answer = await world.agent.ask(right, { method: 'PUT', url, headers: { 'Content-Length': 0 } });
    expect(answer).toMatchObject({ status: 400, code: 'NAME_REFUSED' });
  });

  it('that collide by case, or as file and directory, are refused while the other is only being written too', async () => {
    const whole = someBytes(100);
    await world.agent.patch(await mintPut(world, 'Out/A'), { whole, start: 0, end: 50 });
    for (const name of ['out/a', 'OUT/A', 'Out', 'out/A/b'])
      expect(await world.agent.put(await mintPut(world, name), whole)).toMatchObject({
        status: 409,
        code: 'NAME_COLLISION',
      });
    expect((await world.agent.put(await mintPut(world, 'Out/B'), whole)).status).toBe(201);
  });

  it('are at most 64 in an attempt', async () => {
    for (let at = 0; at < 64; at++)
      expect((await world.agent.put(await mintPut(world, `f${at}`), bytes.subarray(0, 1))).status).toBe(201);
    expect(await world.agent.put(await mintPut(world, 'one-more'), bytes)).toMatchObject({
      status: 413,
      code: 'QUOTA_EXCEEDED',
    });
  });
});

describe('the trusted side', () => {
  it.each([
    ['another token', 'Bearer wrong'],
    ['an empty token', 'Bearer '],
    ['the token and more', `Bearer ${OPERATOR_TOKEN}x`],
    ['the token by another scheme', `Basic ${OPERATOR_TOKEN}`],
    ['nothing', ''],
  ])('is not whoever brings %s (NOT_AUTHORIZED)', async (_what, authorization) => {
    for (const [method, path] of [
      ['PUT', `/v1/inputs/${'0'.repeat(64)}`],
      ['GET', `/v1/results/${JOB}/1`],
    ] as const) {
      const headers = { Authorization: authorization, 'Content-Length': 0 };
      const answer = await send({ method, url: world.url() + path, headers });
      expect(answer).toMatchObject({ status: 401, code: 'NOT_AUTHORIZED' });
    }
  });

  it('does not upload into attempts', async () => {
    const right = await mintPut(world, 'a');
    expect(
      await asOperator({ method: 'PUT', url: right.url, headers: { 'Content-Length': 0 } }),
    ).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('sees no attempt but the registered one', async () => {
    await world.agent.put(await mintPut(world, 'a'), bytes);
    const url = `${world.url()}/v1/results/${JOB}/1/a`;
    expect(await asOperator({ method: 'GET', url })).toMatchObject({ code: 'NOT_FOUND' });
    await world.bridge().adapter.verify(attemptOf(), [fileOf('a', bytes)]);
    expect(await asOperator({ method: 'GET', url })).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('requests that are none', () => {
  const raw = async (text: string): Promise<string> => {
    const { hostname, port } = new URL(world.url());
    const socket = connect(Number(port), hostname);
    socket.write(text);
    let answer = '';
    socket.setTimeout(5000, () => socket.destroy());
    for await (const chunk of socket) answer += String(chunk);
    return answer;
  };

  it.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['headers without end', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['two lengths', 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    [
      'a length and chunks',
      'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a negative length', 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n'],
  ])('%s are answered with 400 and a code, and the connection ends', async (_what, text) => {
    const answer = await raw(text);
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain('"code":"MALFORMED_REQUEST"');
  });

  it.each(['DELETE', 'POST', 'OPTIONS', 'TRACE', 'PROPFIND', 'MKCOL', 'MOVE'])(
    '%s is NOT_FOUND',
    async (method) => {
      const right = await mintPut(world, 'a');
      expect(await send({ method, url: right.url })).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    },
  );

  it('URLs of another shape are NOT_FOUND or too long, whatever is in them', async () => {
    for (const path of ['/', '/%', '/%zz', '/v1/../../etc/passwd', '/v1/%2e%2e', '/v1/inputs/%00', '/?x'])
      expect(await send({ method: 'GET', url: world.url() + path })).toMatchObject({
        status: 404,
        code: 'NOT_FOUND',
      });
    const long = `${world.url()}/${'x'.repeat(3000)}`;
    expect(await send({ method: 'GET', url: long })).toMatchObject({
      status: 400,
      code: 'MALFORMED_REQUEST',
    });
  });
});

it('logs hold no token, proof or key (I10)', async () => {
  const right = await mintPut(world, 'a');
  await putInput(world.url(), bytes);
  await createTestAgent().put(right, bytes);
  await world.agent.put({ ...right, url: `${right.url}/..` }, bytes);
  skewMs = 1e7;
  await world.agent.put(right, bytes);
  const all = logged.join('\n');
  expect(all).toContain('CAPABILITY_EXPIRED');
  for (const secret of [
    right.token,
    OPERATOR_TOKEN,
    'eyJ',
    Buffer.from(crypto.exportPrivate(world.agent.key)).toString('base64url'),
  ])
    expect(all).not.toContain(secret);
});

it('grants of more than the bridge’s own ceiling mint nothing', async () => {
  const small = await openBridgeWorld({
    ceiling: {
      maxFileBytes: 10,
      maxAttemptBytes: 20,
      maxTotalBytes: 30,
      maxCapabilitySeconds: 60,
      verbs: ['put'],
    },
  });
  try {
    const mint = (wish: Parameters<typeof grantFor>[1]) =>
      small.bridge().adapter.mint(grantFor(small.agent.jkt, wish));
    const put = [{ name: 'a', maxBytes: 10 }];
    const get = [{ name: 'i', size: 1, sha256: '0'.repeat(64) }];
    await expect(mint({ put, totalBytes: 20 })).resolves.toHaveLength(1);
    await expect(mint({ put: [{ name: 'a', maxBytes: 11 }], totalBytes: 20 })).rejects.toMatchObject({
      code: 'NOT_AUTHORIZED',
    });
    await expect(mint({ put, totalBytes: 21 })).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    await expect(mint({ get, totalBytes: 0 })).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
  } finally {
    await small.close();
  }
});
