import { calculateJwkThumbprint, CompactSign, compactVerify, importJWK, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { base64url, bytesOf, fromBase64url } from '../../../protocol/encoding.ts';
import type { Certificate, Grant, Identity } from '../../../protocol/generated/types.ts';
import { signJws, verifyJws } from '../../../protocol/jws.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { PrivateKey } from '../../../protocol/runtime/runtime.ts';
import {
  CLOCK_TOLERANCE_SECONDS,
  judgeCertificate,
  judgeGrant,
  judgeIdentity,
  signCertificate,
  signGrant,
  signIdentity,
  thumbprint,
} from '../../../protocol/tokens.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { examples } from './examples.ts';

const crypto = createCrypto(createSeededRandom(11));
const edwards = crypto.generate('ed25519');
const nist = crypto.generate('p256');
const TYPE = 'copilot-test';
const CLAIMS = { iss: 'example' };
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const encode = (value: unknown) => base64url(bytesOf(JSON.stringify(value)));

function claimsOf(kind: string): unknown {
  return examples('valid').find((example) => example.kind === kind)?.value;
}

function jwkOf({ kind, publicKey: { raw } }: PrivateKey): JWK {
  if (kind === 'ed25519') return { kty: 'OKP', crv: 'Ed25519', x: base64url(raw) };
  return { kty: 'EC', crv: 'P-256', x: base64url(raw.slice(1, 33)), y: base64url(raw.slice(33)) };
}

/** A JWS with any header, signed as that key signs. */
function forged(header: object, key: PrivateKey, claims: unknown = CLAIMS): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${base64url(crypto.sign(key, bytesOf(signed)))}`;
}

// proves: E-13
describe.each([
  ['EdDSA', edwards],
  ['ES256', nist],
] as const)('a token signed by %s', (alg, key) => {
  const token = signJws(crypto, key, TYPE, CLAIMS);

  it('is read back with its key and type', () => {
    expect(verifyJws(crypto, key.publicKey, TYPE, token)).toEqual(CLAIMS);
  });

  it('is a JWS as another library reads it', async () => {
    const { payload, protectedHeader } = await compactVerify(token, await importJWK(jwkOf(key), alg));
    expect([protectedHeader, JSON.parse(new TextDecoder().decode(payload))]).toEqual([
      { alg, typ: TYPE },
      CLAIMS,
    ]);
  });

  it('has no meaning with any one character changed', () => {
    for (let at = 0; at < token.length; at++) {
      const flipped = ALPHABET[(ALPHABET.indexOf(token[at] ?? '') + 32) % 64] ?? '.';
      const other = token.slice(0, at) + flipped + token.slice(at + 1);
      expect([at, verifyJws(crypto, key.publicKey, TYPE, other)]).toEqual([at, undefined]);
    }
  });

  it.each<[string, (text: string) => string]>([
    ['a part more', (text) => `${text}.${encode({})}`],
    ['a part less', (text) => text.slice(0, text.lastIndexOf('.'))],
    ['no signature', (text) => text.slice(0, text.lastIndexOf('.') + 1)],
    ['a signature cut short', (text) => text.slice(0, -4)],
    ['a signature too long', (text) => `${text}AAAA`],
    ['padding', (text) => `${text}==`],
    ['a space', (text) => `${text} `],
    ['another body', (text) => text.replace(encode(CLAIMS), encode({ iss: 'evil' }))],
  ])('is refused with %s', (_what, change) => {
    expect(verifyJws(crypto, key.publicKey, TYPE, change(token))).toBeUndefined();
  });

  it.each<[string, object]>([
    ['algorithm none', { alg: 'none', typ: TYPE }],
    ['the other algorithm', { alg: alg === 'ES256' ? 'EdDSA' : 'ES256', typ: TYPE }],
    ['an HMAC', { alg: 'HS256', typ: TYPE }],
    ['another type', { alg, typ: 'JWT' }],
    ['no type', { alg }],
    ['a key of its own', { alg, typ: TYPE, jwk: jwkOf(edwards) }],
    ['an address of a key', { alg, typ: TYPE, jku: 'https://evil.example/keys' }],
    ['a critical header', { alg, typ: TYPE, crit: ['b64'], b64: false }],
    ['its members in another order', { typ: TYPE, alg }],
  ])('is refused with %s in the header, though the signature is right', (_what, header) => {
    expect(verifyJws(crypto, key.publicKey, TYPE, forged(header, key))).toBeUndefined();
  });

  it('is refused with the public key used as the secret of an HMAC', () => {
    const signed = `${encode({ alg: 'HS256', typ: TYPE })}.${encode(CLAIMS)}`;
    const mac = base64url(crypto.hmacSha256(key.publicKey.raw, bytesOf(signed)));
    expect(verifyJws(crypto, key.publicKey, TYPE, `${signed}.${mac}`)).toBeUndefined();
  });

  it('is refused by another key', () => {
    expect(verifyJws(crypto, crypto.generate(key.kind).publicKey, TYPE, token)).toBeUndefined();
  });

  it.each(['', '.', '..', '...', 'a.b.c', '\u0000', 'é.é.é'])('is not %j', (text) => {
    expect(verifyJws(crypto, key.publicKey, TYPE, text)).toBeUndefined();
  });

  it('may say what is no JSON, which is no claims', () => {
    const head = encode({ alg, typ: TYPE });
    const signed = `${head}.${base64url(bytesOf('{'))}`;
    const text = `${signed}.${base64url(crypto.sign(key, bytesOf(signed)))}`;
    expect(verifyJws(crypto, key.publicKey, TYPE, text)).toBeUndefined();
  });
});

it('another library’s ES256 token with our header is ours', async () => {
  const d = base64url(crypto.exportPrivate(nist));
  const header = { alg: 'ES256', typ: TYPE };
  const text = await new CompactSign(bytesOf(JSON.stringify(CLAIMS)))
    .setProtectedHeader(header)
    .sign(await importJWK({ ...jwkOf(nist), d }, 'ES256'));
  expect(verifyJws(crypto, nist.publicKey, TYPE, text)).toEqual(CLAIMS);
});

const identity = claimsOf('identity') as Identity;
const certificate = claimsOf('certificate') as Certificate;
const grant = claimsOf('grant') as Grant;
const kinds = [
  ['identity', signIdentity(crypto, nist, identity), judgeIdentity, nist, identity],
  ['certificate', signCertificate(crypto, edwards, certificate), judgeCertificate, edwards, certificate],
  ['grant', signGrant(crypto, edwards, grant), judgeGrant, edwards, grant],
] as const;

describe.each(kinds)('%s', (kind, token, judge, key, claims) => {
  const at = (seconds: number) => judge(crypto, key.publicKey, token, seconds * 1000).kind;

  // proves: E-14
  it('holds from a minute before its beginning to a minute after its end', () => {
    const { iat, exp } = claims;
    const edges = [iat - CLOCK_TOLERANCE_SECONDS, exp + CLOCK_TOLERANCE_SECONDS];
    expect(edges.map(at)).toEqual(['valid', 'valid']);
    expect([at(edges[0]! - 1), at(edges[1]! + 1)]).toEqual(['early', 'expired']);
  });

  it('is not taken for another kind of token', () => {
    const others = kinds.filter(([other, , , otherKey]) => other !== kind && otherKey === key);
    for (const [, , judgeOther] of others)
      expect(judgeOther(crypto, key.publicKey, token, claims.iat * 1000).kind).toBe('invalid');
  });

  it('with claims its schema does not have is invalid, though signed', () => {
    const type = kind === 'identity' ? 'JWT' : `copilot-${kind}`;
    const alg = key === nist ? 'ES256' : 'EdDSA';
    const text = forged({ alg, typ: type }, key, { ...claims, admin: true });
    expect(judge(crypto, key.publicKey, text, claims.iat * 1000).kind).toBe('invalid');
    const right = forged({ alg, typ: type }, key, claims);
    expect(judge(crypto, key.publicKey, right, claims.iat * 1000)).toEqual({ kind: 'valid', claims });
  });
});

// proves: E-9
it('an identity of the longest names fits its 900 bytes', () => {
  const longest = {
    ...identity,
    iss: 'i'.repeat(64),
    owner: 'o'.repeat(64),
    site: 's'.repeat(64),
    tier: 'semi-trusted' as const,
  };
  expect(signIdentity(crypto, nist, longest).length).toBeLessThanOrEqual(900);
});

// proves: C-1
it('a thumbprint is that of RFC 8037 appendix A.3, and another library’s', async () => {
  const raw = fromBase64url('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo')!;
  expect(thumbprint(crypto, raw)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  expect(thumbprint(crypto, edwards.publicKey.raw)).toBe(await calculateJwkThumbprint(jwkOf(edwards)));
});
