import { request as requestOverHttp } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { base64url } from '../../../protocol/encoding.ts';
import {
  decodeEnrolmentCode,
  type EnrolmentChallenge,
  type EnrolmentRequest,
  ENROLMENT_PATHS,
  type ProofPurpose,
  proofBytes,
  type RenewalRequest,
} from '../../../protocol/enrolment.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { PrivateKey } from '../../../protocol/runtime/runtime.ts';
import { coPilot } from '../../doubles/co-pilot-command.ts';
import { eventually, eventuallyTrue } from '../../doubles/eventually.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';

const crypto = createCrypto();

let broker: LiveBroker;

beforeAll(async () => {
  broker = await openLiveBroker();
});

afterAll(() => broker.close());

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Keys {
  readonly signing: PrivateKey;
  readonly session: PrivateKey;
}

function newKeys(): Keys {
  return { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
}

async function post(path: string, body: string | object): Promise<Answer> {
  const response = await fetch(broker.program.enrolmentUrl + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

/** The rate limit of one address lets a request through sooner or later. */
async function patiently(path: string, body: object): Promise<Answer> {
  return eventually(
    'the rate limit to let it through',
    async () => {
      const answer = await post(path, body);
      return answer.status === 429 ? undefined : answer;
    },
    20_000,
  );
}

async function challenge(): Promise<EnrolmentChallenge> {
  const { body } = await patiently(ENROLMENT_PATHS.challenge, {});
  return { challenge: String(body['challenge']), installation: String(body['installation']) };
}

function proof(purpose: ProofPurpose, asked: EnrolmentChallenge, keys: Keys, signer = keys.signing): string {
  const sig = base64url(keys.signing.publicKey.raw);
  const kex = base64url(keys.session.publicKey.raw);
  return base64url(crypto.sign(signer, proofBytes(purpose, { ...asked, sig, kex })));
}

async function request(code: string, keys: Keys): Promise<EnrolmentRequest<'code'>> {
  return requestFor(await challenge(), code, keys);
}

function requestFor(asked: EnrolmentChallenge, code: string, keys: Keys): EnrolmentRequest<'code'> {
  return {
    method: 'code',
    code: decodeEnrolmentCode(code).secret,
    challenge: asked.challenge,
    sig: base64url(keys.signing.publicKey.raw),
    kex: base64url(keys.session.publicKey.raw),
    proof: proof('enrol', asked, keys),
  };
}

/** By a connection of its own, from this address of the machine. */
function enrolFrom(localAddress: string, wanted: EnrolmentRequest): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = {
    method: 'POST',
    localAddress,
    agent: false,
    headers: { 'content-type': 'application/json' },
  };
  requestOverHttp(broker.program.enrolmentUrl + ENROLMENT_PATHS.enrol, options, (response) => {
    text(response)
      .then((body) => resolve({ status: response.statusCode ?? 0, body: JSON.parse(body) as Answer['body'] }))
      .catch(reject);
  })
    .on('error', reject)
    .end(JSON.stringify(wanted));
  return promise;
}

const enrol = (wanted: EnrolmentRequest): Promise<Answer> => patiently(ENROLMENT_PATHS.enrol, wanted);
const REFUSED = { status: 403, body: { code: 'ENROLMENT_REFUSED' } };

function subjectOf(answer: Answer): string {
  const [, payload = ''] = String(answer.body['identity']).split('.');
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { readonly sub: string }).sub;
}

describe('a one-use code', () => {
  it('is spent by the first key, which may say it again; another key gets nothing', async () => {
    const code = await broker.newCode();
    const wanted = await request(code, newKeys());
    const first = await enrol(wanted);
    expect(first.status).toBe(200);
    // The answer was lost, or the whole request was recorded and played again: the same keys, the same agent.
    expect(subjectOf(await enrol(wanted))).toBe(subjectOf(first));
    expect(await enrol(await request(code, newKeys()))).toMatchObject(REFUSED);
  });

  it('that 100 keys bring at once enrols one of them', async () => {
    const code = await broker.newCode();
    const asked = await challenge();
    const wanted = Array.from({ length: 100 }, () => requestFor(asked, code, newKeys()));
    // From several addresses, each of which may ask 60 times at once.
    const answers = await Promise.all(wanted.map((body, at) => enrolFrom(`127.0.0.${2 + (at % 4)}`, body)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const others = answers.filter(({ status }) => status !== 200);
    expect(others).toHaveLength(99);
    for (const answer of others) expect(answer).toMatchObject(REFUSED);
  });

  it('that has ended, or never was, is worth nothing', async () => {
    const code = await broker.newCode(1);
    const endsMs = Date.now() + 1_000;
    await eventuallyTrue('the code to end', () => Date.now() > endsMs, 5_000);
    expect(await enrol(await request(code, newKeys()))).toMatchObject(REFUSED);
    const wanted = await request(await broker.newCode(), newKeys());
    expect(await enrol({ ...wanted, code: `${wanted.code.slice(0, -4)}AAAA` })).toMatchObject(REFUSED);
  });
});

describe('a proof', () => {
  it('by another key, for another purpose, other keys or another challenge is refused, and the code stays good', async () => {
    const keys = newKeys();
    const wanted = await request(await broker.newCode(), keys);
    const asked = { challenge: wanted.challenge, installation: (await challenge()).installation };
    const wrong: readonly EnrolmentRequest[] = [
      { ...wanted, proof: 'A'.repeat(86) },
      { ...wanted, proof: proof('enrol', asked, keys, newKeys().signing) },
      { ...wanted, proof: proof('renew', asked, keys) },
      { ...wanted, proof: proof('enrol', { ...asked, installation: 'elsewhere' }, keys) },
      { ...wanted, kex: base64url(newKeys().session.publicKey.raw) },
      { ...wanted, sig: base64url(newKeys().signing.publicKey.raw) },
      { ...wanted, challenge: (await challenge()).challenge },
      {
        ...wanted,
        challenge: `${wanted.challenge.slice(0, -4)}AAAA`,
        proof: proof('enrol', { ...asked, challenge: `${wanted.challenge.slice(0, -4)}AAAA` }, keys),
      },
    ];
    for (const request of wrong) expect(await enrol(request)).toMatchObject(REFUSED);
    expect((await enrol(wanted)).status).toBe(200);
  });
});

describe('a renewal', () => {
  it('needs the identity of this installation and the key it is bound to', async () => {
    const keys = newKeys();
    const enrolled = await enrol(await request(await broker.newCode(), keys));
    const identity = String(enrolled.body['identity']);
    const asked = await challenge();
    const right: RenewalRequest = {
      identity,
      challenge: asked.challenge,
      proof: proof('renew', asked, keys),
    };
    const renew = (wanted: RenewalRequest): Promise<Answer> => patiently(ENROLMENT_PATHS.renew, wanted);
    const [head = '', payload = '', signature = ''] = identity.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const forged = Buffer.from(JSON.stringify({ ...claims, owner: 'root', tier: 'trusted' })).toString(
      'base64url',
    );
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const wrong of [
      { ...right, proof: proof('enrol', asked, keys) },
      { ...right, proof: proof('renew', asked, keys, newKeys().signing) },
      { ...right, identity: `${head}.${forged}.${signature}` },
      { ...right, identity: `${none}.${forged}.${signature}` },
      { ...right, identity: `${head}.${payload}.${'A'.repeat(86)}` },
    ])
      expect(await renew(wrong)).toMatchObject(REFUSED);
    expect((await renew(right)).status).toBe(200);
  });

  it('of an agent that was revoked is refused (REVOKED), and so is a new code for its key', async () => {
    const keys = newKeys();
    const enrolled = await enrol(await request(await broker.newCode(), keys));
    const agent = await broker.agent({ ...keys, ...whoIs(enrolled) });
    await agent.vanish();
    const { code } = await coPilot(['agent', 'revoke', agent.id, '--yes', '--data', broker.directory]);
    expect(code).toBe(0);
    const asked = await challenge();
    const identity = String(enrolled.body['identity']);
    const wanted = { identity, challenge: asked.challenge, proof: proof('renew', asked, keys) };
    const revoked = { status: 403, body: { code: 'REVOKED' } };
    expect(await patiently(ENROLMENT_PATHS.renew, wanted)).toMatchObject(revoked);
    expect(await enrol(await request(await broker.newCode(), keys))).toMatchObject(revoked);
  });
});

function whoIs(enrolled: Answer) {
  const identity = String(enrolled.body['identity']);
  const [, payload = ''] = identity.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return { agent: subjectOf(enrolled), identity, claims };
}

describe('the enrolment address', () => {
  it.each([
    ['no JSON', '{"method":'],
    ['a number', '7'],
    ['null', 'null'],
    ['lists in lists, 5,000 deep', '['.repeat(5_000) + ']'.repeat(5_000)],
    ['more than 16 KiB', JSON.stringify({ method: 'code', code: 'x'.repeat(17_000) })],
    ['another method', JSON.stringify({ method: 'password' })],
    ['a key that poisons', '{"__proto__":{"method":"code"},"constructor":{"prototype":{}}}'],
  ])('refuses %s', async (_what, body) => {
    const answer = await eventually(
      'the rate limit to let it through',
      async () => {
        const said = await post(ENROLMENT_PATHS.enrol, body);
        return said.status === 429 ? undefined : said;
      },
      20_000,
    );
    expect(answer).toEqual({ status: 400, body: { code: 'INVALID_REQUEST', message: expect.any(String) } });
  });

  it.each(['/', '/v1/enrol/../codes', '/v1/codes', '/v1/agents/x/revoke', '/v1/status'])(
    'knows nothing of %s',
    async (path) => {
      expect(await patiently(path, {})).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    },
  );

  it('slows down who asks too often (RATE_LIMITED), and who enrolled before works on', async () => {
    const job = broker.submit();
    const agent = await broker.agent();
    const answers = await Promise.all(Array.from({ length: 100 }, () => post(ENROLMENT_PATHS.challenge, {})));
    const limited = answers.filter(({ status }) => status === 429);
    expect(limited.length).toBeGreaterThan(30);
    expect(limited[0]?.body).toMatchObject({ code: 'RATE_LIMITED' });
    expect(await agent.work()).toMatchObject({ job, verdict: 'committed' });
    expect((await patiently(ENROLMENT_PATHS.challenge, {})).status).toBe(200);
  });
});
