import { base64url, bytesOf, fromBase64url, textOf } from './encoding.ts';
import type { Crypto, PrivateKey, PublicKey } from './runtime/runtime.ts';

/**
 * Compact JWS (RFC 7515) with EdDSA or ES256, synchronous so that sessions stay deterministic in the simulator (docs/adr/0004).
 * The header is fixed by us to `alg` and `typ`; any other header is refused, which leaves no room for `alg` confusion.
 */
export function signJws(crypto: Crypto, key: PrivateKey, type: string, claims: object): string {
  const head = base64url(bytesOf(header(key.kind, type)));
  const body = base64url(bytesOf(JSON.stringify(claims)));
  const signature = crypto.sign(key, bytesOf(`${head}.${body}`));
  return `${head}.${body}.${base64url(signature)}`;
}

/** The claims, unvalidated, of a JWS of that type signed by that key; undefined for anything else. Never throws. */
export function verifyJws(crypto: Crypto, key: PublicKey, type: string, jws: string): unknown {
  const [head, body, signature, ...rest] = jws.split('.');
  if (head === undefined || body === undefined || signature === undefined || rest.length > 0)
    return undefined;
  if (head !== base64url(bytesOf(header(key.kind, type)))) return undefined;
  const raw = fromBase64url(signature);
  if (raw === undefined || !crypto.verify(key, bytesOf(`${head}.${body}`), raw)) return undefined;
  return parseClaims(body);
}

function header(kind: PublicKey['kind'], type: string): string {
  return JSON.stringify({ alg: kind === 'p256' ? 'ES256' : 'EdDSA', typ: type });
}

function parseClaims(body: string): unknown {
  const bytes = fromBase64url(body);
  if (bytes === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(textOf(bytes));
    return claims;
  } catch {
    return undefined; // signed but no JSON: as good as unsigned
  }
}
