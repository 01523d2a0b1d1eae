import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Canary, canariesIn } from '../../e2e/canaries.ts';
import { needlesOf } from '../../e2e/needles.ts';

const secret = Buffer.concat([Buffer.from([0xfb, 0xff, 0xfe, 0x00]), randomBytes(28)]);
const canary: Canary = { name: 'planted', needles: needlesOf(secret), homes: [], mayBeSealed: false };

function isFound(bytes: Buffer): boolean {
  return canariesIn(bytes, [canary]).length === 1;
}

function around(before: number, after: number): Buffer {
  return Buffer.concat([randomBytes(before), secret, randomBytes(after)]);
}

describe('a canary is found (I10)', () => {
  const percent = (bytes: Buffer): string =>
    [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  it.each([
    ['plain', () => around(9, 9)],
    ...[0, 1, 2].flatMap(
      (before) =>
        [
          [
            `in base64, ${before} bytes after a group's start`,
            () => Buffer.from(around(before, 5).toString('base64')),
          ],
          [
            `in base64url, ${before} bytes after a group's start`,
            () => Buffer.from(around(before, 4).toString('base64url')),
          ],
        ] as const,
    ),
    ['in hex', () => Buffer.from(around(3, 3).toString('hex'))],
    ['in upper-case hex', () => Buffer.from(around(3, 3).toString('hex').toUpperCase())],
    ['URL-encoded, every byte', () => Buffer.from(percent(around(2, 2)))],
    ['URL-encoded, upper case', () => Buffer.from(percent(around(2, 2)).toUpperCase())],
    ['gzipped', () => gzipSync(around(100, 100))],
    ['gzipped and cut off', () => gzipSync(around(100, 4000)).subarray(0, 1000)],
    [
      'gzipped in base64 inside gzip, amid other bytes',
      () =>
        Buffer.concat([randomBytes(77), gzipSync(gzipSync(Buffer.from(around(7, 7).toString('base64'))))]),
    ],
  ] as const)('%s', (_form, bytes) => {
    expect(isFound(bytes())).toBe(true);
  });

  it('URL-encoded as browsers do', () => {
    const text = Buffer.from('a token/of+32=bytes and some more');
    const planted = { ...canary, needles: needlesOf(text) };
    const query = `https://example.org/?t=${encodeURIComponent(text.toString())}&x=1`;
    expect(canariesIn(Buffer.from(query), [planted])).toHaveLength(1);
  });

  it('and not found where it is not', () => {
    expect(isFound(Buffer.concat([secret.subarray(0, 31), randomBytes(1000)]))).toBe(false);
    expect(isFound(gzipSync(randomBytes(1000)))).toBe(false);
  });

  it('only where it is long enough to be no accident', () => {
    expect(() => needlesOf(randomBytes(15))).toThrow('16 bytes');
  });
});
