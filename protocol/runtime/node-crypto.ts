import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  hkdfSync,
  KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { CoPilotError } from '../errors.ts';
import type { Crypto, KeyKind, PrivateKey, PublicKey, Random, SealKey } from './runtime.ts';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const TAG_BYTES = 16;
/** Without it Node 24 accepts a tag of four bytes. */
const CIPHER_OPTIONS = { authTagLength: TAG_BYTES } as const;
const P256_PUBLIC_BYTES = 65;
const P256_ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
const NO_INFO = new Uint8Array(0);

/**
 * `Crypto` on node:crypto, every key a `KeyObject` imported once. With a `random` keys are made from its bytes, so that runs
 * repeat; otherwise by OpenSSL. ES256 signatures differ from call to call either way.
 */
export function createCrypto(random?: Random): Crypto {
  return {
    generate: (kind) => (random === undefined ? generateNative(kind) : generateFrom(random, kind)),
    importPrivate,
    importPublic,
    exportPrivate: (key) => refusing(() => plain(keyObject(key.handle).export({ format: 'raw-private' }))),
    diffieHellman: (own, peer) =>
      refusing(() =>
        plain(diffieHellman({ privateKey: keyObject(own.handle), publicKey: keyObject(peer.handle) })),
      ),
    sign: (key, data) => refusing(() => plain(signWith(key.kind, keyObject(key.handle), data))),
    verify: verifyWith,
    importSealKey,
    seal,
    open,
    sha256: (data) => plain(hash('sha256', data, 'buffer')),
    hkdf,
    hmacSha256: (key, data) => plain(createHmac('sha256', createSecretKey(key)).update(data).digest()),
  };
}

function generateNative(kind: KeyKind): PrivateKey {
  return describePrivate(kind, generatePrivateKeyObject(kind));
}

function generatePrivateKeyObject(kind: KeyKind): KeyObject {
  switch (kind) {
    case 'x25519':
      return generateKeyPairSync('x25519').privateKey;
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  }
}

function generateFrom(random: Random, kind: KeyKind): PrivateKey {
  let raw = random.bytes(KEY_BYTES);
  while (kind === 'p256' && !isP256Scalar(raw)) raw = random.bytes(KEY_BYTES);
  return importPrivate(kind, raw);
}

function importPrivate(kind: KeyKind, raw: Uint8Array): PrivateKey {
  if (raw.length !== KEY_BYTES) throw refusal();
  if (kind === 'p256' && !isP256Scalar(raw)) throw refusal();
  return refusing(() =>
    describePrivate(
      kind,
      createPrivateKey({ key: Buffer.from(raw), format: 'raw-private', ...rawKeyType(kind) }),
    ),
  );
}

function importPublic(kind: KeyKind, raw: Uint8Array): PublicKey {
  if (raw.length !== (kind === 'p256' ? P256_PUBLIC_BYTES : KEY_BYTES)) throw refusal();
  // The key is kept for long; the caller's bytes may be a view of a whole frame.
  const own = new Uint8Array(raw);
  return refusing(() => {
    const handle = createPublicKey({
      key: Buffer.from(own.buffer),
      format: 'raw-public',
      ...rawKeyType(kind),
    });
    return { kind, raw: own, handle };
  });
}

function describePrivate(kind: KeyKind, handle: KeyObject): PrivateKey {
  const publicHandle = createPublicKey(handle);
  const raw = new Uint8Array(publicHandle.export({ format: 'raw-public' }));
  return { kind, handle, publicKey: { kind, raw, handle: publicHandle } };
}

function rawKeyType(kind: KeyKind): { asymmetricKeyType: 'x25519' | 'ed25519' | 'ec'; namedCurve?: string } {
  return kind === 'p256' ? { asymmetricKeyType: 'ec', namedCurve: 'P-256' } : { asymmetricKeyType: kind };
}

/** OpenSSL imports zero and numbers past the group's order without a word. */
function isP256Scalar(raw: Uint8Array): boolean {
  const scalar = BigInt(`0x${Buffer.from(raw).toString('hex')}`);
  return scalar > 0n && scalar < P256_ORDER;
}

function signWith(kind: KeyKind, key: KeyObject, data: Uint8Array): Buffer {
  return kind === 'p256' ? sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }) : sign(null, data, key);
}

function verifyWith(key: PublicKey, data: Uint8Array, signature: Uint8Array): boolean {
  try {
    const handle = keyObject(key.handle);
    return key.kind === 'p256'
      ? verify('sha256', data, { key: handle, dsaEncoding: 'ieee-p1363' }, signature)
      : verify(null, data, handle, signature);
  } catch {
    // A signature of the wrong shape is a wrong signature.
    return false;
  }
}

function importSealKey(raw: Uint8Array): SealKey {
  if (raw.length !== KEY_BYTES) throw refusal();
  return { handle: createSecretKey(raw) };
}

function seal(key: SealKey, nonce: Uint8Array, associated: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv(CIPHER, keyObject(key.handle), nonce, CIPHER_OPTIONS);
  if (associated.length > 0) cipher.setAAD(associated);
  const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
  if (plaintext.length > 0) sealed.set(cipher.update(plaintext));
  cipher.final();
  sealed.set(cipher.getAuthTag(), plaintext.length);
  return sealed;
}

function open(
  key: SealKey,
  nonce: Uint8Array,
  associated: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const length = sealed.length - TAG_BYTES;
  if (length < 0) return undefined;
  try {
    const decipher = createDecipheriv(CIPHER, keyObject(key.handle), nonce, CIPHER_OPTIONS);
    if (associated.length > 0) decipher.setAAD(associated);
    decipher.setAuthTag(sealed.subarray(length));
    const plaintext = decipher.update(sealed.subarray(0, length));
    decipher.final();
    return plain(plaintext);
  } catch {
    // The tag did not verify: nothing of the plaintext leaves this function.
    return undefined;
  }
}

function hkdf(salt: Uint8Array, inputKey: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', createSecretKey(inputKey), salt, NO_INFO, length));
}

/** A `Buffer` is no plain `Uint8Array`: its `slice` shares memory. Nothing outside node's own files should meet one. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

function keyObject(handle: unknown): KeyObject {
  if (handle instanceof KeyObject) return handle;
  throw new CoPilotError('INTERNAL', 'this key was made by another implementation of Crypto');
}

function refusing<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw error instanceof CoPilotError ? error : refusal(error);
  }
}

function refusal(cause?: unknown): CoPilotError {
  return new CoPilotError('HANDSHAKE_FAILED', 'refused key or key operation', { cause });
}
