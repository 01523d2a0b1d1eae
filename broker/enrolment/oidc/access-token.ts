import type { JWTPayload } from 'jose';

/** RFC 9068, section 2.1. */
const ACCESS_TOKEN = new Set(['at+jwt', 'application/at+jwt']);
/** What tokens of older providers say, which say it of others too. */
const UNTOLD = new Set(['', 'jwt']);
/** Claims of ID tokens alone (OpenID Connect Core 1.0, sections 2 and 3.3). */
const OF_ID_TOKENS = ['nonce', 'at_hash', 'c_hash', 's_hash'];

/**
 * Why a token that its issuer made for us is not to be taken as an access token, as far as that can be told: an ID token says who
 * logged in somewhere and is shown to many, and a token that is bound to a key is worth nothing without that key.
 */
export function whyNoAccessToken(typ: string | undefined, claims: JWTPayload): string | undefined {
  if (claims['cnf'] !== undefined) return 'it is bound to a key that nobody has shown';
  const kind = (typ ?? '').toLowerCase();
  if (ACCESS_TOKEN.has(kind)) return undefined;
  if (!UNTOLD.has(kind)) return 'its type is that of another kind of token';
  if (OF_ID_TOKENS.some((name) => claims[name] !== undefined) || claims['typ'] === 'ID')
    return 'it is an ID token';
  return typeof claims['scope'] === 'string' ? undefined : 'it has no scope, as access tokens have';
}
