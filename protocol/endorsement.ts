import { fromBase64url } from './encoding.ts';
import { signJws, verifyJws } from './jws.ts';
import type { Crypto, PrivateKey, PublicKey } from './runtime/runtime.ts';
import { CLOCK_TOLERANCE_SECONDS } from './tokens.ts';

const TYPE = 'copilot-certifier';
const KEY_BYTES = 32;

/** A certifier's word for the one that will follow it. */
export interface Endorsement {
  readonly iss: string;
  /** The next certifier's raw Ed25519 key in base64url. */
  readonly certifier: string;
  readonly iat: number;
  readonly exp: number;
}

export function signEndorsement(crypto: Crypto, key: PrivateKey, claims: Endorsement): string {
  return signJws(crypto, key, TYPE, claims);
}

/** The next certifier's key in base64url, where the one that is believed said so for this installation; undefined otherwise. */
export function endorsedCertifier(
  crypto: Crypto,
  certifier: PublicKey,
  {
    token,
    installation,
    wallMs,
  }: { readonly token: string; readonly installation: string; readonly wallMs: number },
): string | undefined {
  const claims = verifyJws(crypto, certifier, TYPE, token);
  if (!isEndorsement(claims) || claims.iss !== installation) return undefined;
  const now = wallMs / 1000;
  const isNow = now >= claims.iat - CLOCK_TOLERANCE_SECONDS && now <= claims.exp + CLOCK_TOLERANCE_SECONDS;
  return isNow && fromBase64url(claims.certifier)?.length === KEY_BYTES ? claims.certifier : undefined;
}

function isEndorsement(value: unknown): value is Endorsement {
  if (typeof value !== 'object' || value === null) return false;
  const { iss, certifier, iat, exp }: { [Key in keyof Endorsement]?: unknown } = value;
  return (
    typeof iss === 'string' &&
    typeof certifier === 'string' &&
    typeof iat === 'number' &&
    typeof exp === 'number'
  );
}
