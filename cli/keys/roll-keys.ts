import {
  ANNOUNCED_MS,
  KEY_PURPOSES,
  type KeyPurpose,
  type KeyRing,
  roll,
  rollAtOnce,
} from '../../broker/keys/key-ring.ts';
import { hex } from '../../protocol/encoding.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { loadKey, storeKey } from '../../protocol/runtime/key-file.ts';
import type { Crypto } from '../../protocol/runtime/runtime.ts';
import { generatedBroker, grantKeysOf, readRing, readTrust, writeRing, writeTrust } from './key-files.ts';

export interface RollOptions {
  readonly directory: string;
  readonly purposes: readonly KeyPurpose[];
  readonly crypto: Crypto;
  readonly nowMs: number;
  /** The old keys' word counts no more from now on. */
  readonly isEmergency: boolean;
  /** How long all who check have to learn of the new key before it signs. A certifier is announced for longer. */
  readonly leadMs: number;
}

/** `all`, or one purpose. Throws `INVALID_REQUEST`. */
export function purposesOf(text: string): readonly KeyPurpose[] {
  if (text === 'all') return KEY_PURPOSES;
  const found = KEY_PURPOSES.filter((purpose) => purpose === text);
  if (found.length > 0) return found;
  throw new CoPilotError('INVALID_REQUEST', `a key is one of ${KEY_PURPOSES.join(', ')} or all, not ${text}`);
}

/** Makes new keys, and tells brokers and adapters of this machine by their files. Answers what it wrote. */
export async function rollKeys(
  options: RollOptions,
): Promise<{ readonly ring: KeyRing; readonly written: readonly string[] }> {
  const { directory, purposes, crypto, nowMs } = options;
  const broker = await generatedBroker(directory);
  const before = await readRing(directory, broker);
  const ring = purposes.reduce((kept, purpose) => rolled(kept, purpose, options), before);
  const trust = await readTrust(directory, broker, crypto);
  // Adapters first: what is signed by a new key finds somebody who knows it.
  const trusting = await writeTrust(directory, { ...trust, grantKeys: grantKeysOf(ring, crypto, nowMs) });
  return { ring, written: [...trusting, await writeRing(directory, broker, ring)] };
}

function rolled(
  ring: KeyRing,
  purpose: KeyPurpose,
  { crypto, nowMs, isEmergency, leadMs }: RollOptions,
): KeyRing {
  const key = storeKey(crypto, crypto.generate(purpose === 'identity' ? 'p256' : 'ed25519'));
  if (isEmergency) {
    const gone = ring[purpose].map((entry) => hex(loadKey(crypto, entry.key).publicKey.raw));
    return rollAtOnce(ring, { purpose, key, nowMs }, gone);
  }
  const signsFromMs = nowMs + (purpose === 'certifier' ? Math.max(leadMs, ANNOUNCED_MS) : leadMs);
  return roll(ring, { purpose, key, nowMs, signsFromMs });
}
