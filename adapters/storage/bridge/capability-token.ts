import { timingSafeEqual } from 'node:crypto';
import { base64url, bytesOf, fromBase64url, textOf } from '../../../protocol/encoding.ts';
import type { Crypto } from '../../../protocol/runtime/runtime.ts';

/** What one capability allows, and to whom: one verb on one file of one attempt, for the holder of one key. */
export interface CapabilityClaims {
  readonly job: string;
  readonly attempt: number;
  readonly name: string;
  readonly verb: 'get' | 'put';
  /** Bytes of the file, and of all files of the attempt together. */
  readonly max: number;
  readonly total: number;
  /** The bytes it is for, where they were known: always for `get`. */
  readonly sha256?: string;
  /** Seconds of the bridge's own wall clock. */
  readonly exp: number;
  readonly cnf: { readonly jkt: string };
}

/** HS256 rather than a signature: one is minted per file and job, and only the bridge ever judges it. */
const HEADER = base64url(bytesOf('{"alg":"HS256","typ":"copilot-capability"}'));

/** A compact JWT under the bridge's own key. */
export function signCapability(crypto: Crypto, key: Uint8Array, claims: CapabilityClaims): string {
  const signed = `${HEADER}.${base64url(bytesOf(JSON.stringify(claims)))}`;
  return `${signed}.${base64url(crypto.hmacSha256(key, bytesOf(signed)))}`;
}

/** The claims of a token made with that key, expired or not; undefined for anything else. Never throws. */
export function openCapability(crypto: Crypto, key: Uint8Array, token: string): CapabilityClaims | undefined {
  const [head, body, mac, ...rest] = token.split('.');
  if (head !== HEADER || body === undefined || mac === undefined || rest.length > 0) return undefined;
  const expected = crypto.hmacSha256(key, bytesOf(`${head}.${body}`));
  const claimed = fromBase64url(mac);
  if (claimed?.length !== expected.length || !timingSafeEqual(claimed, expected)) return undefined;
  const claims: unknown = JSON.parse(textOf(fromBase64url(body) ?? new Uint8Array(0)));
  return isCapabilityClaims(claims) ? claims : undefined;
}

/** The key made it, so this only tells our own versions apart. */
function isCapabilityClaims(value: unknown): value is CapabilityClaims {
  return typeof value === 'object' && value !== null && 'verb' in value && 'exp' in value && 'cnf' in value;
}
