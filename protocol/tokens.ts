import type { Certificate, Grant, Identity } from './generated/types.ts';
import { isCertificate, isGrant, isIdentity } from './generated/validators.js';
import type { Validator } from './generated/validators.js';
import { signJws, verifyJws } from './jws.ts';
import { base64url, bytesOf } from './encoding.ts';
import type { Crypto, PrivateKey, PublicKey } from './runtime/runtime.ts';

/** Wall clocks of honest hosts differ by at most this much. */
export const CLOCK_TOLERANCE_SECONDS = 60;

/** How a token was judged. `expired` and `early` are said only of tokens whose signature is right. */
export type Judged<T> =
  | { readonly kind: 'valid'; readonly claims: T }
  | { readonly kind: 'expired'; readonly claims: T }
  | { readonly kind: 'early'; readonly claims: T }
  | { readonly kind: 'invalid' };

interface Timed {
  readonly iat: number;
  readonly exp: number;
}

function judge<T extends Timed>(claims: unknown, is: Validator<T>, wallMs: number): Judged<T> {
  if (!is(claims)) return { kind: 'invalid' };
  const now = wallMs / 1000;
  if (now > claims.exp + CLOCK_TOLERANCE_SECONDS) return { kind: 'expired', claims };
  if (now < claims.iat - CLOCK_TOLERANCE_SECONDS) return { kind: 'early', claims };
  return { kind: 'valid', claims };
}

/** An agent's identity: an ES256 JWT of at most 900 bytes, so that every bus takes it as a password. */
export function signIdentity(crypto: Crypto, key: PrivateKey, claims: Identity): string {
  return signJws(crypto, key, 'JWT', claims);
}

export function judgeIdentity(
  crypto: Crypto,
  key: PublicKey,
  token: string,
  wallMs: number,
): Judged<Identity> {
  return judge(verifyJws(crypto, key, 'JWT', token), isIdentity, wallMs);
}

/** As `judgeIdentity`, by the first of several keys that signed it. */
export function judgeIdentityBy(
  crypto: Crypto,
  keys: readonly PublicKey[],
  token: string,
  wallMs: number,
): { readonly judged: Judged<Identity>; readonly signer: PublicKey | undefined } {
  for (const signer of keys) {
    const judged = judgeIdentity(crypto, signer, token, wallMs);
    if (judged.kind !== 'invalid') return { judged, signer };
  }
  return { judged: { kind: 'invalid' }, signer: undefined };
}

/** Binds one broker instance's session key to the installation. */
export function signCertificate(crypto: Crypto, key: PrivateKey, claims: Certificate): string {
  return signJws(crypto, key, 'copilot-certificate', claims);
}

export function judgeCertificate(
  crypto: Crypto,
  key: PublicKey,
  token: string,
  wallMs: number,
): Judged<Certificate> {
  return judge(verifyJws(crypto, key, 'copilot-certificate', token), isCertificate, wallMs);
}

/** What the broker says one attempt may do with storage; evidence as well as permission. */
export function signGrant(crypto: Crypto, key: PrivateKey, claims: Grant): string {
  return signJws(crypto, key, 'copilot-grant', claims);
}

export function judgeGrant(crypto: Crypto, key: PublicKey, token: string, wallMs: number): Judged<Grant> {
  return judge(verifyJws(crypto, key, 'copilot-grant', token), isGrant, wallMs);
}

/** RFC 7638 thumbprint of an Ed25519 key (RFC 8037 appendix A.3): what a capability's `cnf.jkt` holds. */
export function thumbprint(crypto: Crypto, rawEd25519: Uint8Array): string {
  const jwk = `{"crv":"Ed25519","kty":"OKP","x":"${base64url(rawEd25519)}"}`;
  return base64url(crypto.sha256(bytesOf(jwk)));
}
