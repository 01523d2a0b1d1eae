import { describe, expect, it } from 'vitest';
import { type DpopExpectation, judgeDpopProof } from '../../../protocol/dpop.ts';
import { base64url, bytesOf } from '../../../protocol/encoding.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const crypto = createCrypto(createSeededRandom(4));
const key = crypto.generate('p256');
const [x, y] = [key.publicKey.raw.subarray(1, 33), key.publicKey.raw.subarray(33)].map((part) =>
  base64url(part),
);
const url = 'https://bridge.example.org/v1/attempts/a/1/out.dat';
const IAT = 1_760_000_000;
const expected: DpopExpectation = {
  method: 'PUT',
  url,
  token: undefined,
  freshness: { kind: 'issued-at', wallMs: IAT * 1000, toleranceSeconds: 60 },
};

function proof(
  change: { readonly header?: object; readonly jwk?: object; readonly claims?: object } = {},
): string {
  const jwk = { crv: 'P-256', kty: 'EC', x, y, ...change.jwk };
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk, ...change.header };
  const claims = { jti: 'one', htm: 'PUT', htu: url, iat: IAT, ...change.claims };
  const signed = [header, claims].map((part) => base64url(bytesOf(JSON.stringify(part)))).join('.');
  return `${signed}.${base64url(crypto.sign(key, bytesOf(signed)))}`;
}

describe('a proof by an ES256 key', () => {
  it('holds, and is of that key by its RFC 7638 thumbprint', () => {
    const canonical = `{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`;
    const jkt = base64url(crypto.sha256(bytesOf(canonical)));
    expect(judgeDpopProof(crypto, proof(), expected)).toEqual({
      kind: 'valid',
      jkt,
      id: 'one',
      nonce: undefined,
    });
  });

  it.each([
    ['no y', { jwk: { y: undefined } }],
    ['a y that is no text', { jwk: { y: 7 } }],
    ['a y too short', { jwk: { y: 'AAAA' } }],
    ['a point off the curve', { jwk: { y: x } }],
    ['another curve', { jwk: { crv: 'P-384' } }],
    ['another kind of key', { jwk: { kty: 'OKP' } }],
    ['an algorithm that is not the key’s', { header: { alg: 'EdDSA' } }],
    ['a private key', { jwk: { d: x } }],
  ])('does not hold with %s', (_what, change) => {
    expect(judgeDpopProof(crypto, proof(change), expected).kind).toBe('invalid');
  });

  it.each([
    [-61, 'stale'],
    [-60, 'valid'],
    [60, 'valid'],
    [61, 'stale'],
  ])('made %i s from now is %s', (seconds, kind) => {
    expect(judgeDpopProof(crypto, proof({ claims: { iat: IAT + seconds } }), expected).kind).toBe(kind);
  });
});
