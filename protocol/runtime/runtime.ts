/**
 * The ports through which core, loops and adapter logic reach the world. Production wires `node-runtime.ts`, the simulator
 * its own clock and a seeded random; nothing inside the boundary sees Date, timers, node:crypto, files or sockets.
 */

/** Time. Durations and deadlines use `monotonicMs`; `wallMs` is only for what leaves the program (tokens, logs). */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Calls `action` once, `delayMs` or more from now, unless cancelled first. Cancelling twice is harmless. */
  schedule(delayMs: number, action: () => void): Cancel;
}

/** Cancels what was scheduled; idempotent. */
export type Cancel = () => void;

/** Unpredictable bytes: keys, ids, nonces, jitter. */
export interface Random {
  bytes(length: number): Uint8Array;
}

export type KeyKind = 'x25519' | 'ed25519' | 'p256';

/** A public key as it travels (raw: 32 bytes; p256: 65 bytes, uncompressed) with its imported form kept beside it. */
export interface PublicKey {
  readonly kind: KeyKind;
  readonly raw: Uint8Array;
  /** What the implementation of `Crypto` keeps so that no key is imported twice; opaque to everybody else. */
  readonly handle: unknown;
}

/** A private key; `exportPrivate` is the only way to its bytes. */
export interface PrivateKey {
  readonly kind: KeyKind;
  readonly publicKey: PublicKey;
  readonly handle: unknown;
}

/** A symmetric AES-256-GCM key, imported once. */
export interface SealKey {
  readonly handle: unknown;
}

/** Synchronous cryptography: deterministic given `Random`, so that sessions run unchanged in the simulator. */
export interface Crypto {
  generate(kind: KeyKind): PrivateKey;
  /** Throws `HANDSHAKE_FAILED` where the bytes are no key of that kind. p256 private keys are 32 bytes. */
  importPrivate(kind: KeyKind, raw: Uint8Array): PrivateKey;
  importPublic(kind: KeyKind, raw: Uint8Array): PublicKey;
  exportPrivate(key: PrivateKey): Uint8Array;
  /** X25519; throws `HANDSHAKE_FAILED` on a low-order point. */
  diffieHellman(own: PrivateKey, peer: PublicKey): Uint8Array;
  /** Ed25519, or ES256 over SHA-256 with a 64-byte r||s signature, by the key's kind. */
  sign(key: PrivateKey, data: Uint8Array): Uint8Array;
  /** False for anything wrong, malformed signatures included; never throws. */
  verify(key: PublicKey, data: Uint8Array, signature: Uint8Array): boolean;
  importSealKey(raw: Uint8Array): SealKey;
  /** AES-256-GCM with a 12-byte nonce and a 16-byte tag at the end. */
  seal(key: SealKey, nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** Undefined where the tag does not verify; no byte is handed out before it does. */
  open(key: SealKey, nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
  /** SHA-256. */
  sha256(data: Uint8Array): Uint8Array;
  /** HKDF with HMAC-SHA-256 and empty info, as the Noise specification uses it: `length` is 32, 64 or 96 bytes. */
  hkdf(salt: Uint8Array, inputKey: Uint8Array, length: number): Uint8Array;
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
}

/** Structured log of one component; `fields` are plain values, never credentials. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Everything a loop may use of the outside world, short of its own ports (bus, ledger, storage, processes). */
export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: Crypto;
  readonly log: Log;
}
