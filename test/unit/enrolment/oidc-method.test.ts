import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createOidcMethod } from '../../../broker/enrolment/oidc/oidc-method.ts';
import { FRESH_MS, KEPT_MS, PAUSE_MS } from '../../../broker/enrolment/oidc/provider-keys.ts';
import { base64url, bytesOf } from '../../../protocol/encoding.ts';
import { isEnrolmentRequest } from '../../../protocol/enrolment.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const ISSUER = 'https://provider.example.org/';
const OTHER = 'https://other.example.org';
const AUDIENCE = 'https://broker.example.org';
const FIELDS = { installation: 'home', challenge: 'c', sig: 's', kex: 'k' };
const crypto = createCrypto();

interface Pair {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

async function pairOf(kid: string, alg = 'ES256'): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

let one: Pair;
let rsa: Pair;
let others: Pair;
beforeAll(async () => {
  [one, rsa, others] = await Promise.all([pairOf('one'), pairOf('rsa', 'RS256'), pairOf('one')]);
});

let clock: ManualClock;
/** What each address answers; one that is not there does not answer. */
let web: Map<string, unknown>;
let asked: string[];
let method: ReturnType<typeof createOidcMethod>;

beforeEach(() => {
  clock = createManualClock();
  asked = [];
  web = new Map();
  publish(ISSUER, [one.jwk, rsa.jwk]);
  publish(OTHER, [others.jwk]);
  method = createOidcMethod(
    [
      {
        name: 'atlas',
        issuer: ISSUER,
        audiences: [AUDIENCE, 'another-of-ours'],
        rules: [
          { group: '/atlas/production', site: 'cern', tier: 'trusted' },
          { group: '/atlas', site: 'grid', tier: 'semi-trusted' },
        ],
      },
      { name: 'lab', issuer: OTHER, audiences: [AUDIENCE], rules: [{ site: 'lab', tier: 'untrusted' }] },
    ],
    { clock, crypto, log: silentLog },
    async (url) => {
      asked.push(url);
      if (!web.has(url)) throw new Error('nobody answers');
      return web.get(url);
    },
  );
});

function publish(issuer: string, keys: readonly JWK[]): void {
  const base = issuer.replace(/\/$/, '');
  web.set(`${base}/.well-known/openid-configuration`, { issuer, jwks_uri: `${base}/keys` });
  web.set(`${base}/keys`, { keys });
}

interface Change {
  /** `undefined` takes a claim away. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly key?: CryptoKey | Uint8Array;
}

function claimsOf(change: Change['claims'] = {}): JWTPayload {
  const now = Math.floor(clock.wallMs() / 1000);
  const usual = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'jane',
    iat: now,
    exp: now + 600,
    scope: 'compute.create',
  };
  return { ...usual, 'wlcg.groups': ['/atlas'], ...change };
}

function tokenOf({ claims, header, key = one.privateKey }: Change = {}): Promise<string> {
  return new SignJWT(claimsOf(claims))
    .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'at+jwt', ...header })
    .sign(key, { crit: { 'of-tomorrow': true } });
}

const judge = (token: string) => method.judge({ token }, FIELDS);

describe('an access token', () => {
  it('makes its subject the owner, and its groups site and tier, by the first rule that fits', async () => {
    expect(await judge(await tokenOf())).toEqual({
      kind: 'known',
      terms: { owner: 'atlas.jane', site: 'grid', tier: 'semi-trusted' },
    });
    const groups = ['/atlas', '/atlas/production'];
    const terms = { owner: 'atlas.jane', site: 'cern', tier: 'trusted' };
    expect(await judge(await tokenOf({ claims: { 'wlcg.groups': groups } }))).toMatchObject({ terms });
    const plain = { claims: { 'wlcg.groups': undefined, groups: ['/atlas/production'] } };
    expect(await judge(await tokenOf(plain))).toMatchObject({ terms });
  });

  it('of two issuers with one subject makes two owners', async () => {
    const token = await tokenOf({ claims: { iss: OTHER, 'wlcg.groups': [] }, key: others.privateKey });
    expect(await judge(token)).toMatchObject({
      terms: { owner: 'lab.jane', site: 'lab', tier: 'untrusted' },
    });
  });

  it('of an older provider needs no type, where it has a scope and nothing of an ID token', async () => {
    expect((await judge(await tokenOf({ header: { typ: 'JWT' } }))).kind).toBe('known');
    const audience = { claims: { aud: ['somebody', 'another-of-ours'] }, header: { typ: undefined } };
    expect((await judge(await tokenOf(audience))).kind).toBe('known');
  });

  it('signed with RSA is taken as well', async () => {
    const token = await tokenOf({ header: { alg: 'RS256', kid: 'rsa' }, key: rsa.privateKey });
    expect((await judge(token)).kind).toBe('known');
  });

  it.each<[string, () => Promise<string> | string]>([
    ['signed by nobody (alg none)', () => new UnsecuredJWT(claimsOf()).encode()],
    [
      'signed by nobody, with a signature all the same',
      () => `${base64url(bytesOf('{"alg":"none"}'))}.${base64url(bytesOf(JSON.stringify(claimsOf())))}.AAAA`,
    ],
    [
      'signed by HMAC with the public key for its secret',
      () => tokenOf({ header: { alg: 'HS256' }, key: bytesOf(JSON.stringify(one.jwk)) }),
    ],
    ['that names another algorithm than its key is for', () => tokenOf({ header: { kid: 'rsa' } })],
    ['signed by another key of the same name', () => tokenOf({ key: others.privateKey })],
    ['that brings its key along', () => tokenOf({ header: { jwk: others.jwk }, key: others.privateKey })],
    [
      'that says where its key is',
      () => tokenOf({ header: { jku: `${OTHER}/keys`, kid: 'one' }, key: others.privateKey }),
    ],
    ['of an issuer nobody knows', () => tokenOf({ claims: { iss: 'https://provider.example.org' } })],
    ['that another issuer signed', () => tokenOf({ claims: { iss: OTHER } })],
    ['without an issuer', () => tokenOf({ claims: { iss: undefined } })],
    ['for somebody else', () => tokenOf({ claims: { aud: 'https://storage.example.org' } })],
    ['for nobody', () => tokenOf({ claims: { aud: undefined } })],
    ['that has ended', () => tokenOf({ claims: { exp: Math.floor(clock.wallMs() / 1000) - 61 } })],
    ['without an end', () => tokenOf({ claims: { exp: undefined } })],
    ['whose end is no number', () => tokenOf({ claims: { exp: '9999999999' } })],
    ['that has not begun', () => tokenOf({ claims: { nbf: Math.floor(clock.wallMs() / 1000) + 90 } })],
    ['without a subject', () => tokenOf({ claims: { sub: undefined } })],
    ['whose subject is empty', () => tokenOf({ claims: { sub: '' } })],
    ['whose subject is a list', () => tokenOf({ claims: { sub: ['jane'] } })],
    ['whose subject is 300 characters long', () => tokenOf({ claims: { sub: 'x'.repeat(300) } })],
    ['in no group', () => tokenOf({ claims: { 'wlcg.groups': [] } })],
    [
      'in a group below one that a rule names',
      () => tokenOf({ claims: { 'wlcg.groups': ['/atlas/usatlas'] } }),
    ],
    ['whose groups are a text', () => tokenOf({ claims: { 'wlcg.groups': '/atlas' } })],
    ['that is an ID token', () => tokenOf({ header: { typ: 'JWT' }, claims: { nonce: 'n' } })],
    ['that is an ID token of Keycloak', () => tokenOf({ header: { typ: 'JWT' }, claims: { typ: 'ID' } })],
    [
      'that has no scope and no type',
      () => tokenOf({ header: { typ: 'JWT' }, claims: { scope: undefined } }),
    ],
    ['that says how to log out', () => tokenOf({ header: { typ: 'logout+jwt' } })],
    ['that is bound to a key', () => tokenOf({ claims: { cnf: { jkt: 'x' } } })],
    [
      'with a critical header that nobody knows',
      () => tokenOf({ header: { crit: ['of-tomorrow'], 'of-tomorrow': 1 } }),
    ],
    ['that is no JSON inside', () => 'aaaa.bbbb.cccc'],
  ])('%s is refused', async (_what, make) => {
    expect(await judge(await make())).toMatchObject({ kind: 'refused' });
  });

  it('that is huge, or not of three parts, is no request (E-16)', () => {
    const proof = {
      challenge: 'c'.repeat(32),
      sig: 's'.repeat(43),
      kex: 'k'.repeat(43),
      proof: 'p'.repeat(86),
    };
    const request = (token: unknown) => ({ method: 'oidc', token, ...proof });
    expect(isEnrolmentRequest(request('a.b.c'))).toBe(true);
    for (const token of [
      `a.${'b'.repeat(8 * 1024)}.c`,
      'a.b',
      'a.b.c.d',
      'a.b.',
      'ä.b.c',
      7,
      ['a.b.c'],
      undefined,
    ])
      expect(isEnrolmentRequest(request(token))).toBe(false);
  });
});

describe('the keys of a provider', () => {
  const UNAVAILABLE = { code: 'ENROLMENT_UNAVAILABLE' };

  it('are fetched once for many tokens, however many come at once', async () => {
    const tokens = await Promise.all(Array.from({ length: 20 }, () => tokenOf()));
    const judged = await Promise.all(tokens.map(judge));
    expect(judged.every(({ kind }) => kind === 'known')).toBe(true);
    expect(asked).toHaveLength(2);
  });

  it('that are new are found by their name, and tokens of made-up keys ask no more than one time in a while', async () => {
    await judge(await tokenOf());
    clock.advance(1);
    const two = await pairOf('two');
    publish(ISSUER, [two.jwk]);
    const token = await tokenOf({ header: { kid: 'two' }, key: two.privateKey });
    // Whether there is such a key cannot be told yet: whoever has it tries again.
    await expect(judge(token)).rejects.toMatchObject(UNAVAILABLE);
    clock.advance(PAUSE_MS);
    expect((await judge(token)).kind).toBe('known');
    expect(asked).toHaveLength(4);
    clock.advance(PAUSE_MS);
    for (let tries = 0; tries < 50; tries++)
      await judge(await tokenOf({ header: { kid: `made-up-${tries}` } })).catch(() => undefined);
    expect(asked).toHaveLength(6);
    expect((await judge(token)).kind).toBe('known');
  });

  it('that were withdrawn are used no more after a while', async () => {
    const token = await tokenOf({ claims: { exp: Math.floor(clock.wallMs() / 1000) + 7_200 } });
    expect((await judge(token)).kind).toBe('known');
    publish(ISSUER, [rsa.jwk]);
    clock.advance(FRESH_MS - 1);
    expect((await judge(token)).kind).toBe('known');
    clock.advance(1);
    expect((await judge(token)).kind).toBe('refused');
  });

  it('serve for a day where the provider is away; without any, who asks is told to try again', async () => {
    const saved = new Map(web);
    web.clear();
    await expect(judge(await tokenOf())).rejects.toMatchObject(UNAVAILABLE);
    web = new Map(saved);
    clock.advance(PAUSE_MS);
    expect((await judge(await tokenOf())).kind).toBe('known');
    web.clear();
    clock.advance(KEPT_MS - 1);
    expect((await judge(await tokenOf())).kind).toBe('known');
    clock.advance(1);
    await expect(judge(await tokenOf())).rejects.toMatchObject(UNAVAILABLE);
  });

  it('of one provider that is away trouble nobody of another', async () => {
    web.delete('https://provider.example.org/keys');
    await expect(judge(await tokenOf())).rejects.toMatchObject(UNAVAILABLE);
    const token = await tokenOf({ claims: { iss: OTHER }, key: others.privateKey });
    expect((await judge(token)).kind).toBe('known');
  });

  const DISCOVERY = 'https://provider.example.org/.well-known/openid-configuration';
  it.each<[string, string, unknown]>([
    [
      'whose discovery is of another issuer',
      DISCOVERY,
      { issuer: OTHER, jwks_uri: 'https://provider.example.org/keys' },
    ],
    [
      'that lie where everybody on the way can change them',
      DISCOVERY,
      { issuer: ISSUER, jwks_uri: 'http://provider.example.org/keys' },
    ],
    ['that lie on this machine', DISCOVERY, { issuer: ISSUER, jwks_uri: 'http://127.0.0.1/keys' }],
    ['that lie in a file', DISCOVERY, { issuer: ISSUER, jwks_uri: 'file:///etc/passwd' }],
    ['whose discovery is a list', DISCOVERY, []],
    ['that are none', 'https://provider.example.org/keys', { keys: [] }],
    [
      'that are thousands',
      'https://provider.example.org/keys',
      { keys: Array.from({ length: 5_000 }, () => ({})) },
    ],
    ['that are no objects', 'https://provider.example.org/keys', { keys: ['key'] }],
  ])('%s are not taken', async (_what, url, answer) => {
    web.set(url, answer);
    await expect(judge(await tokenOf())).rejects.toMatchObject(UNAVAILABLE);
  });

  it('that are symmetric verify nothing', async () => {
    const secret = bytesOf('a secret of thirty-two characters');
    publish(ISSUER, [{ kty: 'oct', k: base64url(secret), kid: 'one', alg: 'HS256' }]);
    expect((await judge(await tokenOf({ header: { alg: 'HS256' }, key: secret }))).kind).toBe('refused');
  });
});
