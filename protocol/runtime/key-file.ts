import { hex } from '../encoding.ts';
import { CoPilotError } from '../errors.ts';
import type { Crypto, KeyKind, PrivateKey } from './runtime.ts';

/** A private key as configuration files hold it: its kind and its raw bytes in hex. Such files are 0600. */
export interface StoredKey {
  readonly kind: KeyKind;
  readonly private: string;
}

export function storeKey(crypto: Crypto, key: PrivateKey): StoredKey {
  return { kind: key.kind, private: hex(crypto.exportPrivate(key)) };
}

/** Throws `INVALID_CONFIGURATION` where the bytes are no key of that kind. */
export function loadKey(crypto: Crypto, stored: StoredKey): PrivateKey {
  try {
    return crypto.importPrivate(stored.kind, new Uint8Array(Buffer.from(stored.private, 'hex')));
  } catch (cause) {
    throw new CoPilotError('INVALID_CONFIGURATION', `a stored ${stored.kind} key cannot be read`, { cause });
  }
}
