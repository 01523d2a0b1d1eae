import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDpopProof, judgeDpopProof } from '../../../protocol/dpop.ts';
import type { DpopExpectation, Freshness } from '../../../protocol/dpop.ts';
import { base64url, bytesOf, fromBase64url, textOf } from '../../../protocol/encoding.ts';
import { createCrypto, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { thumbprint } from '../../../protocol/tokens.ts';

const crypto = createCrypto();
const vectorFolder = process.env.COPILOT_VECTORS;
const vectorFile = vectorFolder === undefined ? undefined : join(vectorFolder, 'dpop-rfc9449.json');

interface Vectors {
  readonly proofs: readonly {
    readonly what: string;
    readonly proof: string;
    readonly claims: Record<string, string | number>;
  }[];
  readonly accessToken: string;
  readonly jkt: string;
}

describe('published DPoP proofs (RFC 9449)', () => {
  it('CI has the published vectors', () => {
    if (process.env.CI === 'true') expect(vectorFile, 'COPILOT_VECTORS names their folder').toBeDefined();
    if (vectorFile !== undefined) expect(existsSync(vectorFile)).toBe(true);
  });

  const { proofs, accessToken, jkt }: Vectors =
    vectorFile === undefined
      ? { proofs: [], accessToken: '', jkt: '' }
      : JSON.parse(readFileSync(vectorFile, 'utf8'));
  for (const { what, proof, claims } of proofs) {
    const expected: DpopExpectation = {
      method: String(claims.htm),
      url: String(claims.htu),
      token: claims.ath === undefined ? undefined : accessToken,
      freshness: { kind: 'issued-at', wallMs: Date.UTC(2019, 6, 4, 17, 51), toleranceSeconds: 3600 },
    };
    it(`holds: ${what}`, () => {
      expect(judgeDpopProof(crypto, proof, expected)).toEqual({
        kind: 'valid',
        jkt,
        id: claims.jti,
        nonce: undefined,
      });
    });
    it(`does not hold today, for another method, URL or with one bit changed: ${what}`, () => {
      const judge = (change: Partial<DpopExpectation>, text = proof): string =>
        judgeDpopProof(crypto, text, { ...expected, ...change }).kind;
      expect(judge({ freshness: { kind: 'issued-at', wallMs: Date.now(), toleranceSeconds: 3600 } })).toBe(
        'stale',
      );
      expect(judge({ freshness: { kind: 'nonce', accepts: () => true } })).toBe('stale');
      expect(judge({ method: 'DELETE' })).toBe('invalid');
      expect(judge({ url: `${expected.url}/x` })).toBe('invalid');
      const [head, body, signature] = proof.split('.');
      const raw = fromBase64url(signature!)!;
      raw[5]! ^= 1;
      expect(judge({}, `${head}.${body}.${base64url(raw)}`)).toBe('invalid');
    });
  }
});

const key = crypto.generate('ed25519');
const url = 'https://bridge.example.org/v1/attempts/a/1/out.dat';
const request = { method: 'PUT', url, token: 'the.token', nonce: 'n1', wallMs: 0 };
const fresh: Freshness = { kind: 'nonce', accepts: (nonce) => nonce === 'n1' };
const expected: DpopExpectation = { method: 'PUT', url, token: 'the.token', freshness: fresh };

/** A proof signed rightly over whatever header and claims a test wants. */
function forged(change: { header?: object; claims?: object; jwk?: object }): string {
  const jwk = { crv: 'Ed25519', kty: 'OKP', x: base64url(key.publicKey.raw), ...change.jwk };
  const header = { typ: 'dpop+jwt', alg: 'EdDSA', jwk, ...change.header };
  const ath = base64url(crypto.sha256(bytesOf('the.token')));
  const claims = { jti: 'one', htm: 'PUT', htu: url, iat: 0, ath, nonce: 'n1', ...change.claims };
  const signed = `${base64url(bytesOf(JSON.stringify(header)))}.${base64url(bytesOf(JSON.stringify(claims)))}`;
  return `${signed}.${base64url(crypto.sign(key, bytesOf(signed)))}`;
}

describe('our own proofs', () => {
  it('hold for the request they were made for, whatever the agent’s clock says', () => {
    for (const wallMs of [0, Date.now(), 4e12]) {
      const proof = createDpopProof(crypto, nodeRandom, key, { ...request, wallMs });
      expect(judgeDpopProof(crypto, proof, expected)).toMatchObject({
        kind: 'valid',
        jkt: thumbprint(crypto, key.publicKey.raw),
        nonce: 'n1',
      });
    }
  });

  it('name no two requests alike', () => {
    const id = (): unknown =>
      judgeDpopProof(crypto, createDpopProof(crypto, nodeRandom, key, request), expected);
    expect(id()).not.toEqual(id());
  });

  it.each([
    ['the scheme and host in capitals', 'HTTPS://Bridge.Example.ORG/v1/attempts/a/1/out.dat'],
    ['the default port written out', 'https://bridge.example.org:443/v1/attempts/a/1/out.dat'],
    ['a query and a fragment', `${url}?x=1#y`],
    ['letters that need no percent-encoding encoded', 'https://bridge.example.org/v1/attempts/a/1/%6Fut.dat'],
  ])('hold with %s (RFC 9449 section 4.3)', (_what, htu) => {
    expect(judgeDpopProof(crypto, forged({ claims: { htu } }), expected).kind).toBe('valid');
  });

  it.each([
    ['another method', { claims: { htm: 'GET' } }],
    ['another path', { claims: { htu: 'https://bridge.example.org/v1/attempts/a/1/other' } }],
    ['another host', { claims: { htu: 'https://evil.example.org/v1/attempts/a/1/out.dat' } }],
    ['another scheme', { claims: { htu: 'http://bridge.example.org/v1/attempts/a/1/out.dat' } }],
    ['another token', { claims: { ath: base64url(crypto.sha256(bytesOf('other'))) } }],
    ['no token', { claims: { ath: undefined } }],
    ['no URL at all', { claims: { htu: 'out.dat' } }],
    ['an empty id', { claims: { jti: '' } }],
    ['no id', { claims: { jti: undefined } }],
    ['an id without end', { claims: { jti: 'x'.repeat(200) } }],
    ['no time', { claims: { iat: 'now' } }],
    ['a nonce that is no text', { claims: { nonce: 7 } }],
    ['another type', { header: { typ: 'JWT' } }],
    ['algorithm none', { header: { alg: 'none' } }],
    ['an HMAC', { header: { alg: 'HS256' } }],
    ['an algorithm that is not the key’s', { header: { alg: 'ES256' } }],
    ['a critical header', { header: { crit: ['b64'] } }],
    ['no key', { header: { jwk: undefined } }],
    ['a private key', { jwk: { d: 'AAAA' } }],
    ['a key that did not sign it', { jwk: { x: base64url(crypto.generate('ed25519').publicKey.raw) } }],
    ['a key of another curve', { jwk: { crv: 'X25519' } }],
    ['a key too short', { jwk: { x: 'AAAA' } }],
    ['more than a proof may hold', { claims: { pad: 'x'.repeat(3000) } }],
  ])('do not hold with %s', (_what, change) => {
    expect(judgeDpopProof(crypto, forged(change), expected).kind).toBe('invalid');
  });

  it.each([
    ['no nonce', { claims: { nonce: undefined } }],
    ['another nonce', { claims: { nonce: 'n0' } }],
  ])('are stale with %s', (_what, change) => {
    expect(judgeDpopProof(crypto, forged(change), expected)).toEqual({ kind: 'stale' });
  });

  it.each([
    '',
    '.',
    '..',
    'a.b.c',
    'a.b',
    '!.!.!',
    `${'x'.repeat(100)}.e30.e30`,
    'e30.e30.e30',
    'bnVsbA.bnVsbA.AA',
  ])('are not %j', (text) => {
    expect(judgeDpopProof(crypto, text, expected).kind).toBe('invalid');
  });

  it('carry nothing of the token but its digest', () => {
    const proof = createDpopProof(crypto, nodeRandom, key, { ...request, token: 'a-secret-token' });
    const parts = proof
      .split('.')
      .slice(0, 2)
      .map((part) => textOf(fromBase64url(part)!));
    expect(parts.join()).not.toContain('a-secret-token');
  });
});
