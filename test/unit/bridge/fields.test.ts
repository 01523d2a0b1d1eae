import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRange } from '../../../adapters/storage/bridge/range.ts';
import { inputPath, parseTarget, uploadPath } from '../../../adapters/storage/bridge/target.ts';
import {
  collidingName,
  FILE_NAME,
  isFileName,
  MAX_FILE_NAME_CHARACTERS,
} from '../../../adapters/storage/file-names.ts';
import { digestField, sha256OfField } from '../../../protocol/digest-field.ts';

const JOB = 'a'.repeat(26);
const hash = '0123456789abcdef'.repeat(4);
const place = `/v1/attempts/${JOB}/1/`;

describe('names', () => {
  it('are those of the schema', () => {
    const schema = JSON.parse(
      readFileSync(new URL('../../../protocol/schemas/common.schema.json', import.meta.url), 'utf8'),
    );
    expect(FILE_NAME.source.replaceAll('\\/', '/')).toBe(schema.$defs.fileName.pattern);
    expect(MAX_FILE_NAME_CHARACTERS).toBe(schema.$defs.fileName.maxLength);
  });

  it.each([
    '',
    '.',
    '..',
    'a/..',
    '../a',
    '/etc/passwd',
    'a//b',
    'a/',
    '/a',
    '.hidden',
    'a/.b',
    'a\\b',
    'a\0b',
    'a\nb',
    'a\u007f',
    'a b',
    'ä',
    'ａ',
    'a%2e',
    'a:b',
    'a*',
    '~',
    'C:\\x',
    'x'.repeat(129),
  ])('refuse %j', (name) => expect(isFileName(name)).toBe(false));

  it.each([
    ['a', 'A'],
    ['out/x.csv', 'OUT/X.CSV'],
    ['out', 'out/x'],
    ['out/x', 'Out'],
  ])('%s collides with %s', (one, other) => {
    expect(collidingName(one, [other])).toBe(other);
    expect(collidingName(other, ['z', one])).toBe(one);
  });

  it('collide neither with themselves nor with mere beginnings', () => {
    expect(collidingName('out', ['out', 'outer', 'out.txt', 'x/out'])).toBeUndefined();
  });
});

describe('targets', () => {
  it('are read back as they are written', () => {
    const name = 'dir/a+b=c,@_-.csv';
    expect(parseTarget(uploadPath(JOB, 12, name))).toEqual({ kind: 'upload', job: JOB, attempt: 12, name });
    expect(parseTarget(inputPath(hash))).toEqual({ kind: 'input', sha256: hash });
    expect(parseTarget(`/v1/results/${JOB}/3`)).toEqual({ kind: 'manifest', job: JOB, attempt: 3 });
    expect(parseTarget(`/v1/results/${JOB}/3/x`)).toEqual({
      kind: 'result',
      job: JOB,
      attempt: 3,
      name: 'x',
    });
  });

  it('have their names decoded once', () => {
    expect(parseTarget(`${place}a%2Bb%2Fc`)).toMatchObject({ name: 'a+b/c' });
  });

  it.each([
    '..',
    '../x',
    'a/../b',
    './a',
    'a/./b',
    '%2e%2e',
    '%2E%2e/x',
    'a/%2e%2e/b',
    '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '..%2f',
    '%252e%252e',
    '%25%32%65',
    '%c0%ae%c0%ae',
    '/abs',
    '//abs',
    '%2fabs',
    'a//b',
    'a%2f%2fb',
    'a/',
    'a%00',
    'a%0a',
    'a%0d%0aX',
    'a\\b',
    'a%5cb',
    '%5c..%5cb',
    'a?b',
    'a#b',
    'a;b',
    'a%',
    'a%2',
    'a%zz',
    'a%C3%A9',
    'a%65%CC%81',
    '%EF%BC%8E%EF%BC%8E',
    '.git',
    '~',
    '%7e',
    'a%20b',
    'x'.repeat(129),
  ])('with the name %s are refused (NAME_REFUSED)', (name) => {
    expect(() => parseTarget(place + name)).toThrow(expect.objectContaining({ code: 'NAME_REFUSED' }));
  });

  it.each([
    '',
    '/',
    '*',
    '/v1',
    '/v1/attempts',
    `/v1/attempts/${JOB}/1`,
    place,
    `/v1/attempts/${JOB.toUpperCase()}/1/a`,
    `/v1/attempts/../1/a`,
    `/v1/attempts/${JOB}/0/a`,
    `/v1/attempts/${JOB}/-1/a`,
    `/v1/attempts/${JOB}/1e3/a`,
    `/v1/attempts/${JOB}/99999999/a`,
    '/v1/inputs/..',
    `/v1/inputs/${hash}/x`,
    `/v1/inputs/${hash.toUpperCase()}`,
    `/v1/inputs/${hash}?x`,
    `http://other/v1/inputs/${hash}`,
    `//v1/inputs/${hash}`,
    `/V1/inputs/${hash}`,
    `/v1/inputs/%61${hash.slice(1)}`,
  ])('%s is nothing we serve (NOT_FOUND)', (target) => {
    expect(() => parseTarget(target)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  });

  it('too long are refused before they are looked at', () => {
    expect(() => parseTarget(place + 'x'.repeat(2000))).toThrow(
      expect.objectContaining({ code: 'MALFORMED_REQUEST' }),
    );
  });

  it('never give a name that is no file name, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('.', '/', '%', '2', 'e', 'f', 'a', '\\', '0', ' ', 'é') }),
        (text) => {
          try {
            const target = parseTarget(place + text);
            expect('name' in target && isFileName(target.name)).toBe(true);
          } catch (error) {
            expect(error).toMatchObject({ code: expect.stringMatching(/^(NAME_REFUSED|NOT_FOUND)$/) });
          }
        },
      ),
    );
  });
});

describe('digest fields (RFC 9530)', () => {
  it('are read back as they are written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const hex = Buffer.from(bytes).toString('hex');
        expect(sha256OfField(digestField(hex))).toBe(hex);
      }),
    );
  });

  it('are found beside other algorithms', () => {
    expect(sha256OfField(`md5=:AAAA:, ${digestField(hash)} ,sha-512=:BBBB:`)).toBe(hash);
  });

  it.each([
    '',
    'sha-256',
    'sha-256=',
    'sha-256=::',
    `sha-256=${hash}`,
    `SHA-256=:${Buffer.from(hash, 'hex').toString('base64')}:`,
    'sha-256=:AAAA:',
    `${digestField(hash)}x`,
    `${digestField(hash)},${digestField(hash)}`,
    'x'.repeat(1000),
  ])('%s is none', (field) => expect(sha256OfField(field)).toBeUndefined());
});

describe('ranges', () => {
  it.each([
    ['bytes=0-', 0, 10],
    ['bytes=3-', 3, 10],
    ['bytes=0-0', 0, 1],
    ['bytes=2-4', 2, 5],
    ['bytes=9-9', 9, 10],
    ['bytes=5-99', 5, 10],
    ['bytes=-3', 7, 10],
    ['bytes=-99', 0, 10],
  ])('%s of ten bytes', (header, start, end) => expect(parseRange(header, 10)).toEqual({ start, end }));

  it.each([
    undefined,
    '',
    'bytes=',
    'bytes=-',
    'bytes=4-2',
    'bytes=0-1,3-4',
    'bits=0-1',
    'bytes=a-b',
    'bytes= 0-1',
    'bytes=0-99999999999999999999',
  ])('%s is the whole', (header) => expect(parseRange(header, 10)).toBeUndefined());

  it.each(['bytes=10-', 'bytes=10-12', 'bytes=-0'])('%s of ten bytes is refused', (header) => {
    expect(() => parseRange(header, 10)).toThrow(expect.objectContaining({ code: 'RANGE_NOT_SATISFIABLE' }));
  });
});
