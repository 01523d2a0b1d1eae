import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adler32 } from '../../../protocol/adler32.ts';
import { reprDigest, wantedDigests } from '../../../adapters/storage/bridge/digest-wishes.ts';
import { startDigests } from '../../../adapters/storage/bridge/digests.ts';
import { bytesOf } from '../../../protocol/encoding.ts';
import { sha256OfField } from '../../../protocol/digest-field.ts';

/** As RFC 1950 section 9 writes it down, byte by byte. */
function slowAdler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return ((b << 16) | a) >>> 0;
}

describe('Adler-32', () => {
  it.each([
    ['', 0x00000001],
    ['a', 0x00620062],
    ['abc', 0x024d0127],
    ['message digest', 0x29750586],
    ['abcdefghijklmnopqrstuvwxyz', 0x90860b20],
    ['Wikipedia', 0x11e60398],
  ])('of %j is as published', (text, value) => expect(adler32(bytesOf(text))).toBe(value));

  it('does not overflow on the largest bytes, and goes on where it stopped', () => {
    const largest = new Uint8Array(70_001).fill(255);
    expect(adler32(largest)).toBe(slowAdler32(largest));
    expect(adler32(largest.subarray(4_001), adler32(largest.subarray(0, 4_001)))).toBe(slowAdler32(largest));
  });

  it('is that of the RFC for any bytes, cut anywhere', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 9_000 }), fc.nat(9_000), (bytes, cut) => {
        const end = Math.min(cut, bytes.length);
        expect(adler32(bytes.subarray(end), adler32(bytes.subarray(0, end)))).toBe(slowAdler32(bytes));
      }),
    );
  });
});

describe('digests in one pass', () => {
  it('are all right, and a copy goes its own way', () => {
    const hash = startDigests(['md5', 'adler32']);
    hash.update(bytesOf('message '));
    const copy = hash.copy();
    hash.update(bytesOf('digest'));
    copy.update(bytesOf('other'));
    // RFC 1321 A.5
    expect(hash.extra()).toEqual({ md5: 'f96b697d7cb7938d525a2f31aaf161d0', adler32: '29750586' });
    expect(hash.sha256()).toBe(createHash('sha256').update('message digest').digest('hex'));
    expect(copy.extra().md5).toBe(createHash('md5').update('message other').digest('hex'));
    expect(startDigests([]).extra()).toEqual({});
  });
});

describe('Want-Repr-Digest', () => {
  it.each([
    ['md5=1', ['md5']],
    ['adler=10, md5', ['md5', 'adler32']],
    ['sha-256=5, adler=3', ['adler32']],
    ['md5=0, adler=0', []],
    ['unixcksum=1, crc32c=1', []],
    ['md5=11', []],
    ['md5=1; adler=1', []],
    ['__proto__=1, constructor=1', []],
    ['md5=1,'.repeat(200), []],
    [undefined, []],
  ])('%j wants %j', (field, wanted) => expect(wantedDigests(field)).toEqual(wanted));

  it('is answered with what is known, readable for whoever wants SHA-256 alone', () => {
    const sha256 = createHash('sha256').update('').digest('hex');
    const field = reprDigest(sha256, { adler32: '00000001' }, ['md5', 'adler32']);
    expect(field).toBe('sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:, adler=:AAAAAQ==:');
    expect(sha256OfField(field)).toBe(sha256);
  });
});
