import { base64url, bytesOf, fromBase64url, textOf } from './encoding.ts';
import type { Crypto, PrivateKey, PublicKey, Random } from './runtime/runtime.ts';
import { thumbprint } from './tokens.ts';

/** Longest proof that is looked at. */
const MAX_PROOF_CHARACTERS = 2048;
const MAX_ID_CHARACTERS = 128;
const MAX_NONCE_CHARACTERS = 256;
const COORDINATE = /^[A-Za-z0-9_-]{43}$/;

/** The request a proof is made for; `url` without query and fragment, `token` the access token it goes with. */
export interface DpopRequest {
  readonly method: string;
  readonly url: string;
  readonly token: string;
  /** The server's last `DPoP-Nonce`, where there was one. */
  readonly nonce?: string | undefined;
  readonly wallMs: number;
}

/** A DPoP proof (RFC 9449 section 4.2) of an Ed25519 key for one request. */
export function createDpopProof(
  crypto: Crypto,
  random: Random,
  key: PrivateKey,
  request: DpopRequest,
): string {
  const jwk = { crv: 'Ed25519', kty: 'OKP', x: base64url(key.publicKey.raw) };
  const claims = {
    jti: base64url(random.bytes(16)),
    htm: request.method,
    htu: request.url,
    iat: Math.floor(request.wallMs / 1000),
    ath: accessTokenHash(crypto, request.token),
    ...(request.nonce === undefined ? {} : { nonce: request.nonce }),
  };
  const signed = `${part({ typ: 'dpop+jwt', alg: 'EdDSA', jwk })}.${part(claims)}`;
  return `${signed}.${base64url(crypto.sign(key, bytesOf(signed)))}`;
}

/** How a verifier tells a proof made now from one that was kept: by its own nonce, or by the time the sender claims. */
export type Freshness =
  | { readonly kind: 'nonce'; readonly accepts: (nonce: string) => boolean }
  | { readonly kind: 'issued-at'; readonly wallMs: number; readonly toleranceSeconds: number };

export interface DpopExpectation {
  readonly method: string;
  readonly url: string;
  /** The access token the proof must name; undefined where the request carries none. */
  readonly token: string | undefined;
  readonly freshness: Freshness;
}

/** `stale`: right in everything, but the nonce is missing or too old, or the time is off. */
export type JudgedProof =
  | { readonly kind: 'valid'; readonly jkt: string; readonly id: string; readonly nonce: string | undefined }
  | { readonly kind: 'stale' }
  | { readonly kind: 'invalid'; readonly reason: string };

/** Checks a proof as RFC 9449 section 4.3 says, short of replay, which takes a memory. Never throws. */
export function judgeDpopProof(crypto: Crypto, proof: string, expected: DpopExpectation): JudgedProof {
  const opened = openProof(crypto, proof);
  if (opened === undefined) return invalid('it is no proof signed by the key it carries');
  const { claims, jkt } = opened;
  if (claims.htm !== expected.method) return invalid('it is for another method');
  if (!isSameUrl(claims.htu, expected.url)) return invalid('it is for another URL');
  const ath = expected.token === undefined ? undefined : accessTokenHash(crypto, expected.token);
  if (ath !== undefined && claims.ath !== ath) return invalid('it is for another token');
  if (!isFresh(claims, expected.freshness)) return { kind: 'stale' };
  return { kind: 'valid', jkt, id: claims.jti, nonce: claims.nonce };
}

interface Claims {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  readonly iat: number;
  readonly ath: string | undefined;
  readonly nonce: string | undefined;
}

interface SigningKey {
  readonly key: PublicKey;
  readonly jkt: string;
}

type Json = Readonly<Record<string, unknown>>;

function openProof(crypto: Crypto, proof: string): { claims: Claims; jkt: string } | undefined {
  if (proof.length > MAX_PROOF_CHARACTERS) return undefined;
  const [head, body, signature, ...rest] = proof.split('.');
  if (head === undefined || body === undefined || signature === undefined || rest.length > 0)
    return undefined;
  const claims = claimsOf(parsePart(body));
  const signer = signerOf(crypto, parsePart(head));
  const raw = fromBase64url(signature);
  if (claims === undefined || signer === undefined || raw === undefined) return undefined;
  if (!crypto.verify(signer.key, bytesOf(`${head}.${body}`), raw)) return undefined;
  return { claims, jkt: signer.jkt };
}

/** The key of a header that says what RFC 9449 asks, with an algorithm that fits the key; a private key there is refused. */
function signerOf(crypto: Crypto, header: Json | undefined): SigningKey | undefined {
  if (header?.typ !== 'dpop+jwt' || 'crit' in header || !isJson(header.jwk)) return undefined;
  const { jwk } = header;
  if ('d' in jwk || typeof jwk.x !== 'string' || !COORDINATE.test(jwk.x)) return undefined;
  try {
    if (header.alg === 'EdDSA' && jwk.kty === 'OKP' && jwk.crv === 'Ed25519') return edwards(crypto, jwk.x);
    if (header.alg === 'ES256' && jwk.kty === 'EC' && jwk.crv === 'P-256') return nist(crypto, jwk.x, jwk.y);
  } catch {
    // Bytes that are no key of that curve: as good as no key.
  }
  return undefined;
}

function edwards(crypto: Crypto, x: string): SigningKey {
  const key = crypto.importPublic('ed25519', bytesOfPart(x));
  return { key, jkt: thumbprint(crypto, key.raw) };
}

function nist(crypto: Crypto, x: string, y: unknown): SigningKey | undefined {
  if (typeof y !== 'string' || !COORDINATE.test(y)) return undefined;
  const key = crypto.importPublic('p256', Uint8Array.of(4, ...bytesOfPart(x), ...bytesOfPart(y)));
  const canonical = `{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`;
  return { key, jkt: base64url(crypto.sha256(bytesOf(canonical))) };
}

function claimsOf(value: Json | undefined): Claims | undefined {
  if (value === undefined) return undefined;
  const { jti, htm, htu, iat, ath, nonce } = value;
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_ID_CHARACTERS) return undefined;
  if (typeof htm !== 'string' || typeof htu !== 'string' || typeof iat !== 'number') return undefined;
  if (!isOptionalText(ath) || !isOptionalText(nonce)) return undefined;
  return { jti, htm, htu, iat, ath, nonce };
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || (typeof value === 'string' && value.length <= MAX_NONCE_CHARACTERS);
}

function isFresh(claims: Claims, freshness: Freshness): boolean {
  if (freshness.kind === 'nonce') return claims.nonce !== undefined && freshness.accepts(claims.nonce);
  return Math.abs(claims.iat - freshness.wallMs / 1000) <= freshness.toleranceSeconds;
}

/** Compares as RFC 3986 sections 6.2.2 and 6.2.3 normalise; query and fragment do not count (RFC 9449 section 4.3). */
function isSameUrl(claimed: string, expected: string): boolean {
  return claimed === expected || canonicalUrl(claimed) === canonicalUrl(expected);
}

function canonicalUrl(text: string): string | undefined {
  try {
    const url = new URL(text);
    return url.origin + decodeURIComponent(url.pathname);
  } catch {
    return undefined;
  }
}

function accessTokenHash(crypto: Crypto, token: string): string {
  return base64url(crypto.sha256(bytesOf(token)));
}

function part(value: object): string {
  return base64url(bytesOf(JSON.stringify(value)));
}

function parsePart(text: string): Json | undefined {
  const bytes = fromBase64url(text);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(textOf(bytes));
    return isJson(value) ? value : undefined;
  } catch {
    return undefined; // not UTF-8 or not JSON: no proof
  }
}

function bytesOfPart(text: string): Uint8Array {
  return fromBase64url(text) ?? new Uint8Array(0);
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(reason: string): JudgedProof {
  return { kind: 'invalid', reason };
}
