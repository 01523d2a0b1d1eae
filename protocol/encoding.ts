import { CoPilotError } from './errors.ts';
import type { Random } from './runtime/runtime.ts';

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const BASE64URL = /^[A-Za-z0-9_-]*$/;
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 bytes of a text. */
export function bytesOf(text: string): Uint8Array {
  return utf8.encode(text);
}

/** Text of UTF-8 bytes; throws `MALFORMED_MESSAGE` where they are none. */
export function textOf(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new CoPilotError('MALFORMED_MESSAGE', 'the bytes are not UTF-8', { cause });
  }
}

/** Lower-case base32 without padding (RFC 4648 section 6). */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32.charAt((value >>> bits) & 31);
    }
  }
  return bits === 0 ? text : text + BASE32.charAt((value << (5 - bits)) & 31);
}

/** A new id of 128 random bits: 26 characters of base32. */
export function newId(random: Random): string {
  return base32(random.bytes(16));
}

export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/** Undefined where the text is not base64url without padding. */
export function fromBase64url(text: string): Uint8Array | undefined {
  return BASE64URL.test(text) ? new Uint8Array(Buffer.from(text, 'base64url')) : undefined;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** The first 128 bits of the SHA-256 of a text as an id: the same text always gives the same id. */
export function idOf(sha256: (data: Uint8Array) => Uint8Array, text: string): string {
  return base32(sha256(bytesOf(text)).subarray(0, 16));
}

/** Bytes of a text the schema has already found to be lower-case hex. */
export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}
