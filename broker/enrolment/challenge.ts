import { base64url, bytesOf, fromBase64url } from '../../protocol/encoding.ts';
import type { Clock, Crypto, PrivateKey, Random } from '../../protocol/runtime/runtime.ts';

/** How long a challenge may be answered. */
export const CHALLENGE_SECONDS = 120;

const NONCE_BYTES = 16;
const TIME_BYTES = 8;
const MAC_BYTES = 16;

/** Challenges that need no memory: a nonce, its end and a MAC over both. */
export interface Challenges {
  issue(): string;
  /** Whether a broker of the installation issued it and it has not ended. */
  check(challenge: string): boolean;
}

/** Brokers of one installation whose wall clocks differ by more than this do not take each other's challenges. */
const CLOCKS_DIFFER_MS = 60_000;

/** All brokers that have the key take each other's challenges, before and after a restart. */
export function createChallenges(
  crypto: Crypto,
  random: Random,
  clock: Pick<Clock, 'wallMs'>,
  key: Uint8Array,
): Challenges {
  const mac = (body: Uint8Array): Uint8Array => crypto.hmacSha256(key, body).subarray(0, MAC_BYTES);
  return {
    issue() {
      const body = new Uint8Array(NONCE_BYTES + TIME_BYTES);
      body.set(random.bytes(NONCE_BYTES));
      new DataView(body.buffer).setFloat64(NONCE_BYTES, clock.wallMs() + CHALLENGE_SECONDS * 1000);
      return `${base64url(body)}${base64url(mac(body))}`;
    },
    check(challenge) {
      const bytes = fromBase64url(challenge);
      if (bytes?.length !== NONCE_BYTES + TIME_BYTES + MAC_BYTES) return false;
      const body = bytes.slice(0, NONCE_BYTES + TIME_BYTES);
      const given = bytes.subarray(NONCE_BYTES + TIME_BYTES);
      // Both MACs go through SHA-256 first: comparing digests tells nothing about the bytes by its timing.
      const isOurs = base64url(crypto.sha256(given)) === base64url(crypto.sha256(mac(body)));
      const leftMs = new DataView(body.buffer).getFloat64(NONCE_BYTES) - clock.wallMs();
      return isOurs && leftMs > 0 && leftMs <= CHALLENGE_SECONDS * 1000 + CLOCKS_DIFFER_MS;
    },
  };
}

/** The key of an installation's challenges, from a private key that all its brokers hold. */
export function challengeKeyOf(crypto: Crypto, shared: PrivateKey): Uint8Array {
  return crypto.hmacSha256(crypto.exportPrivate(shared), bytesOf('co-pilot-challenge-1'));
}

/** The digest a code is stored under. */
export function codeDigest(crypto: Crypto, secret: string): string {
  return base64url(crypto.sha256(bytesOf(`co-pilot-code-1\n${secret}`)));
}
