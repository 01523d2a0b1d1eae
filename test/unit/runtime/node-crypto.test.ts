import { describe, expect, it } from 'vitest';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { KeyKind } from '../../../protocol/runtime/runtime.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const crypto = createCrypto();
const none = new Uint8Array(0);
const text = new TextEncoder().encode('what is signed or sealed');
const nonce = new Uint8Array(12);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const unhex = (digits: string) => new Uint8Array(Buffer.from(digits, 'hex'));
const refused = expect.objectContaining({ code: 'HANDSHAKE_FAILED' });

/** Every encoding of a point of small order that RFC 7748 implementations are tested with. */
const LOW_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

describe('keys', () => {
  it.each<KeyKind>(['x25519', 'ed25519', 'p256'])('%s: what is exported imports to the same key', (kind) => {
    const key = crypto.generate(kind);
    const again = crypto.importPrivate(kind, crypto.exportPrivate(key));
    expect(hex(again.publicKey.raw)).toBe(hex(key.publicKey.raw));
    expect(crypto.importPublic(kind, key.publicKey.raw).raw).toEqual(key.publicKey.raw);
  });

  it('are the same for the same random bytes, and differ for others', () => {
    const make = (seed: number) =>
      hex(createCrypto(createSeededRandom(seed)).generate('x25519').publicKey.raw);
    expect(make(7)).toBe(make(7));
    expect(make(7)).not.toBe(make(8));
  });

  it.each<[string, KeyKind, Uint8Array]>([
    ['31 bytes', 'x25519', new Uint8Array(31)],
    ['33 bytes', 'ed25519', new Uint8Array(33)],
    ['a compressed point', 'p256', new Uint8Array(33).fill(2)],
    ['a point off the curve', 'p256', new Uint8Array(65).fill(4)],
  ])('a public key of %s (%s) is refused', (_what, kind, raw) => {
    expect(() => crypto.importPublic(kind, raw)).toThrow(refused);
  });

  it.each([
    ['zero', new Uint8Array(32)],
    ['more than the order of the group', new Uint8Array(32).fill(255)],
  ])('a p256 private key of %s is refused', (_what, raw) => {
    expect(() => crypto.importPrivate('p256', raw)).toThrow(refused);
  });

  it.each(LOW_ORDER)('the point of small order %s is refused, not a crash', (point) => {
    expect(() =>
      crypto.diffieHellman(crypto.generate('x25519'), crypto.importPublic('x25519', unhex(point))),
    ).toThrow(refused);
  });

  it('keep a copy of imported bytes: changing the caller’s changes nothing', () => {
    const raw = new Uint8Array(crypto.generate('x25519').publicKey.raw);
    const key = crypto.importPublic('x25519', raw);
    const before = hex(key.raw);
    raw.fill(0);
    expect(hex(key.raw)).toBe(before);
  });
});

describe('signatures', () => {
  it.each<KeyKind>(['ed25519', 'p256'])(
    '%s: 64 bytes, verify; any other data, key, length or bit does not',
    (kind) => {
      const key = crypto.generate(kind);
      const signature = crypto.sign(key, text);
      expect(signature).toHaveLength(64);
      expect(crypto.verify(key.publicKey, text, signature)).toBe(true);
      expect(crypto.verify(key.publicKey, text.subarray(1), signature)).toBe(false);
      expect(crypto.verify(crypto.generate(kind).publicKey, text, signature)).toBe(false);
      expect(crypto.verify(key.publicKey, text, signature.subarray(1))).toBe(false);
      expect(crypto.verify(key.publicKey, text, none)).toBe(false);
      const flipped = new Uint8Array(signature);
      flipped[40] = (flipped[40] ?? 0) ^ 1;
      expect(crypto.verify(key.publicKey, text, flipped)).toBe(false);
    },
  );

  it('with a key that cannot sign are refused', () => {
    expect(() => crypto.sign(crypto.generate('x25519'), text)).toThrow(refused);
    expect(crypto.verify(crypto.generate('x25519').publicKey, text, new Uint8Array(64))).toBe(false);
  });
});

describe('sealing', () => {
  const key = crypto.importSealKey(new Uint8Array(32).fill(9));

  it('opens to what was sealed, empty plaintext included', () => {
    for (const plaintext of [none, text]) {
      const sealed = crypto.seal(key, nonce, none, plaintext);
      expect(sealed).toHaveLength(plaintext.length + 16);
      expect(crypto.open(key, nonce, none, sealed)).toEqual(plaintext);
    }
  });

  it('refuses a shortened tag: every length but the whole', () => {
    const sealed = crypto.seal(key, nonce, none, text);
    for (let length = 0; length < sealed.length; length++) {
      expect(crypto.open(key, nonce, none, sealed.subarray(0, length))).toBeUndefined();
    }
  });

  it('refuses other associated data, another nonce, another key', () => {
    const sealed = crypto.seal(key, nonce, text, text);
    expect(crypto.open(key, nonce, none, sealed)).toBeUndefined();
    expect(crypto.open(key, new Uint8Array(12).fill(1), text, sealed)).toBeUndefined();
    expect(crypto.open(crypto.importSealKey(new Uint8Array(32)), nonce, text, sealed)).toBeUndefined();
    expect(crypto.open(key, nonce, text, sealed)).toEqual(text);
  });

  it('hands out plain arrays: slice copies', () => {
    const opened = crypto.open(key, nonce, none, crypto.seal(key, nonce, none, text));
    expect(opened?.constructor).toBe(Uint8Array);
    expect(crypto.sha256(text).constructor).toBe(Uint8Array);
  });

  it('refuses keys of another implementation by name', () => {
    expect(() => crypto.seal({ handle: 'mine' }, nonce, none, text)).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});

describe('digests', () => {
  it('agree with RFC 5869 test case 3, RFC 4231 test case 2 and FIPS 180 “abc”', () => {
    expect(hex(crypto.hkdf(none, new Uint8Array(22).fill(0x0b), 32))).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
    );
    const data = new TextEncoder().encode('what do ya want for nothing?');
    expect(hex(crypto.hmacSha256(new TextEncoder().encode('Jefe'), data))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
    expect(hex(crypto.sha256(new TextEncoder().encode('abc')))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });
});
