import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMemoryCodeStore } from '../../../broker/enrolment/memory-code-store.ts';
import { createEnrolment, type Enrolment } from '../../../broker/enrolment/enrolment.ts';
import { createEnrolmentServer } from '../../../broker/http/enrolment-routes.ts';
import { base64url, idOf } from '../../../protocol/encoding.ts';
import {
  decodeEnrolmentCode,
  ENROLMENT_PATHS,
  MAX_ENROLMENT_BYTES,
  proofBytes,
  type ProofPurpose,
} from '../../../protocol/enrolment.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { type Judged, judgeIdentity } from '../../../protocol/tokens.ts';
import type { Identity } from '../../../protocol/generated/types.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const INSTALLATION = 'example';
const DAY_MS = 86_400_000;
const TERMS = { owner: 'somebody', site: 'home', tier: 'untrusted' } as const;

const random = createSeededRandom(3);
const crypto = createCrypto(random);
const identityKey = crypto.generate('p256');
const certifier = crypto.generate('ed25519');

let clock: ManualClock;
let enrolment: Enrolment;
let server: FastifyInstance;
let status: 'active' | 'revoked' | undefined;

beforeEach(() => {
  clock = createManualClock();
  status = undefined;
  enrolment = createEnrolment({
    runtime: { clock, random, crypto, log: silentLog },
    installation: INSTALLATION,
    identityKey,
    certifier: certifier.publicKey,
    codes: createMemoryCodeStore(),
    publicUrl: () => 'https://broker.example.org',
    busUrls: () => ['wss://broker.example.org/bus'],
    agent: async () => (status === undefined ? undefined : ({ status } as never)),
  });
  server = createEnrolmentServer({ enrolment, clock, log: silentLog });
});

afterEach(async () => {
  await server.close();
});

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function post(path: string, body: object): Promise<Answer> {
  const response = await server.inject({ method: 'POST', url: path, payload: body });
  return { status: response.statusCode, body: response.json() };
}

const newKeys = () => ({ signing: crypto.generate('ed25519'), session: crypto.generate('x25519') });
type Keys = ReturnType<typeof newKeys>;

function prove(purpose: ProofPurpose, keys: Keys, challenge: string, installation = INSTALLATION) {
  const sig = base64url(keys.signing.publicKey.raw);
  const kex = base64url(keys.session.publicKey.raw);
  const statement = proofBytes(purpose, { installation, challenge, sig, kex });
  return { sig, kex, challenge, proof: base64url(crypto.sign(keys.signing, statement)) };
}

async function challenge(): Promise<string> {
  const { body } = await post(ENROLMENT_PATHS.challenge, {});
  return String(body['challenge']);
}

async function newCode(seconds = 3600): Promise<string> {
  return decodeEnrolmentCode(await enrolment.issueCode(TERMS, seconds)).secret;
}

async function enrol(keys: Keys, code: string, change: object = {}) {
  const proved = prove('enrol', keys, await challenge());
  return post(ENROLMENT_PATHS.enrol, { method: 'code', code, ...proved, ...change });
}

async function renew(keys: Keys, identity: unknown, purpose: ProofPurpose = 'renew') {
  const proved = prove(purpose, keys, await challenge());
  return post(ENROLMENT_PATHS.renew, { identity, challenge: proved.challenge, proof: proved.proof });
}

describe('enrolment over HTTP', () => {
  // proves: E-4, E-5, E-6, E-7, E-9, E-10
  it('turns a code and a proof into an identity for both keys', async () => {
    const keys = newKeys();
    const { status: answered, body } = await enrol(keys, await newCode());
    const identity = String(body['identity']);
    expect(answered).toBe(200);
    expect(body).toEqual({
      identity: expect.any(String),
      installation: INSTALLATION,
      certifier: base64url(certifier.publicKey.raw),
      bus: ['wss://broker.example.org/bus'],
      expiresInSeconds: 86_400,
    });
    const judged = judgeIdentity(crypto, identityKey.publicKey, identity, clock.wallMs());
    const sig = base64url(keys.signing.publicKey.raw);
    const sub = idOf((data) => crypto.sha256(data), `co-pilot-agent-1\n${INSTALLATION}\n${sig}`);
    const kex = base64url(keys.session.publicKey.raw);
    expect(judged).toMatchObject({ kind: 'valid', claims: { iss: INSTALLATION, sub, sig, kex, ...TERMS } });
  });

  // proves: E-12
  it.each<[string, (keys: Keys) => Promise<Answer>]>([
    ['a code that never was', (keys) => enrol(keys, 'x'.repeat(24))],
    [
      'a code past its time',
      async (keys) => {
        const code = await newCode(60);
        await clock.run(61_000);
        return enrol(keys, code);
      },
    ],
    [
      'a proof by another key',
      async (keys) => enrol(keys, await newCode(), { sig: prove('enrol', newKeys(), 'x').sig }),
    ],
    [
      'a proof for another session key',
      async (keys) => enrol(keys, await newCode(), { kex: prove('enrol', newKeys(), 'x').kex }),
    ],
    [
      'a proof for another installation',
      async (keys) => enrol(keys, await newCode(), prove('enrol', keys, await challenge(), 'other')),
    ],
    [
      'the proof of a renewal',
      async (keys) => enrol(keys, await newCode(), prove('renew', keys, await challenge())),
    ],
    [
      'a challenge of one’s own',
      async (keys) => enrol(keys, await newCode(), prove('enrol', keys, 'A'.repeat(54))),
    ],
    [
      'a challenge past its 120 s',
      async (keys) => {
        const old = prove('enrol', keys, await challenge());
        await clock.run(121_000);
        return enrol(keys, await newCode(), old);
      },
    ],
  ])('refuses %s, and does not say why', async (_what, attempt) => {
    const refused = await attempt(newKeys());
    const plain = await enrol(newKeys(), 'y'.repeat(24));
    expect([refused.status, refused.body['code']]).toEqual([403, 'ENROLMENT_REFUSED']);
    expect(refused).toEqual(plain);
  });

  // proves: E-4
  it('refuses a challenge of an earlier start of the broker', async () => {
    const keys = newKeys();
    const old = prove('enrol', keys, await challenge());
    const code = await enrolment.issueCode(TERMS, 60);
    const other = createEnrolment({
      runtime: { clock, random, crypto, log: silentLog },
      installation: INSTALLATION,
      identityKey,
      certifier: certifier.publicKey,
      codes: createMemoryCodeStore(),
      publicUrl: () => '',
      busUrls: () => [],
      agent: async () => undefined,
    });
    const request = { method: 'code', code: decodeEnrolmentCode(code).secret, ...old } as const;
    await expect(other.enrol(request)).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
  });

  // proves: E-12
  it('refuses a body that is none, or too large, or comes too often', async () => {
    expect(await post(ENROLMENT_PATHS.enrol, { method: 'code' })).toMatchObject({
      status: 400,
      body: { code: 'INVALID_REQUEST' },
    });
    const large = { method: 'code', code: 'x'.repeat(MAX_ENROLMENT_BYTES) };
    expect(await post(ENROLMENT_PATHS.enrol, large)).toMatchObject({
      status: 400,
      body: { code: 'INVALID_REQUEST' },
    });
    expect(await post('/v1/other', {})).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    for (let times = 0; times < 60; times++) await challenge();
    expect(await post(ENROLMENT_PATHS.challenge, {})).toMatchObject({
      status: 429,
      body: { code: 'RATE_LIMITED' },
    });
    await clock.run(500);
    expect((await post(ENROLMENT_PATHS.challenge, {})).status).toBe(200);
  });
});

// proves: E-11
describe('renewal over HTTP', () => {
  it('keeps agent, keys and owner, until seven days after the end', async () => {
    const keys = newKeys();
    const { body } = await enrol(keys, await newCode());
    await clock.run(7.9 * DAY_MS);
    const renewed = await renew(keys, body['identity']);
    expect(renewed.body).toEqual({
      identity: expect.any(String),
      certifier: body['certifier'],
      bus: ['wss://broker.example.org/bus'],
      expiresInSeconds: 86_400,
    });
    const judge = (identity: unknown) =>
      judgeIdentity(crypto, identityKey.publicKey, String(identity), clock.wallMs());
    const before = judge(body['identity']);
    const after = judge(renewed.body['identity']);
    expect([before.kind, after.kind]).toEqual(['expired', 'valid']);
    expect(lastingClaims(after)).toEqual(lastingClaims(before));
    await clock.run(8.1 * DAY_MS);
    expect(await renew(keys, renewed.body['identity'])).toMatchObject({ status: 403 });
  });
});

function lastingClaims(judged: Judged<Identity>): object | undefined {
  if (judged.kind === 'invalid') return undefined;
  const { iss, sub, owner, site, tier, sig, kex } = judged.claims;
  return { iss, sub, owner, site, tier, sig, kex };
}
