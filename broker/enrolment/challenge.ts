import { base64url, bytesOf, fromBase64url } from '../../protocol/encoding.ts';
import type { Clock, Crypto, Random } from '../../protocol/runtime/runtime.ts';

/** How long a challenge may be answered. */
export const CHALLENGE_SECONDS = 120;

const NONCE_BYTES = 16;
const TIME_BYTES = 8;
const MAC_BYTES = 16;

/** Challenges that need no memory: a nonce, its end and a MAC over both. */
export interface Challenges {
  issue(): string;
  /** Whether we issued it and it has not ended. */
  check(challenge: string): boolean;
}

/** Each start of the broker has its own key: challenges do not outlive it, and an agent then asks for another. */
export function createChallenges(crypto: Crypto, random: Random, clock: Clock): Challenges {
  const key = random.bytes(32);
  const mac = (body: Uint8Array): Uint8Array => crypto.hmacSha256(key, body).subarray(0, MAC_BYTES);
  return {
    issue() {
      const body = new Uint8Array(NONCE_BYTES + TIME_BYTES);
      body.set(random.bytes(NONCE_BYTES));
      new DataView(body.buffer).setFloat64(NONCE_BYTES, clock.monotonicMs() + CHALLENGE_SECONDS * 1000);
      return `${base64url(body)}${base64url(mac(body))}`;
    },
    check(challenge) {
      const bytes = fromBase64url(challenge);
      if (bytes?.length !== NONCE_BYTES + TIME_BYTES + MAC_BYTES) return false;
      const body = bytes.slice(0, NONCE_BYTES + TIME_BYTES);
      const given = bytes.subarray(NONCE_BYTES + TIME_BYTES);
      // Both MACs go through SHA-256 first: comparing digests tells nothing about the bytes by its timing.
      const isOurs = base64url(crypto.sha256(given)) === base64url(crypto.sha256(mac(body)));
      return isOurs && new DataView(body.buffer).getFloat64(NONCE_BYTES) > clock.monotonicMs();
    },
  };
}

/** The digest a code is stored under. */
export function codeDigest(crypto: Crypto, secret: string): string {
  return base64url(crypto.sha256(bytesOf(`co-pilot-code-1\n${secret}`)));
}
