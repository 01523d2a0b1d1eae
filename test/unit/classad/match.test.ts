import { describe, expect, it } from 'vitest';
import { adFromJson } from '../../../protocol/classad/json-ad.ts';
import { matches } from '../../../protocol/classad/match.ts';
import { parseAd, parseExpression } from '../../../protocol/classad/parser.ts';
import { significantAttributes } from '../../../protocol/classad/significant-attributes.ts';
import { emptyAd } from './evaluated.ts';

describe('matches', () => {
  const host = adFromJson({ Memory: 4096, OpSys: 'Linux', Load: 0.25, Trusted: false });
  it.each([
    ['other.Memory >= 2048 && other.OpSys == "LINUX"', true],
    ['target.Memory >= my.RequestMemory', true],
    ['Memory >= RequestMemory', true],
    ['Load < 0.5 && !Trusted', true],
    ['1', true],
    ['-0.5', true],
    ['0', false],
    ['0.0', false],
    ['false', false],
    ['undefined', false],
    ['error', false],
    ['"true"', false],
    ['{true}', false],
    ['[a = true]', false],
    ['other.Gpus >= 1', false],
    ['other.Gpus >= 1 || other.Memory > 0', true],
    ['!(other.Gpus >= 1)', false],
    ['real("NaN")', false],
    ['noSuchFunction()', false],
  ])('%s: %s', (requirements, accepted) => {
    expect(matches(parseExpression(requirements), parseAd('[ RequestMemory = 1024 ]'), host)).toBe(accepted);
  });

  it('reads what AliEn writes, list first', () => {
    const requirements = parseExpression(
      'other.Type == "machine" && member(other.Packages, "VO_ALICE@ROOT::v5") && other.TTL > 7200 && other.Price <= 1',
    );
    const ad = '[ Type = "machine"; Packages = {"VO_ALICE@ROOT::v5"}; TTL = 43200; Price = 1.00 ]';
    expect(matches(requirements, emptyAd, parseAd(ad))).toBe(true);
    expect(matches(requirements, emptyAd, parseAd(ad.replace('v5', 'v6')))).toBe(false);
  });
});

describe('adFromJson', () => {
  it('makes integers of safe integers, reals of other numbers, and never parses strings', () => {
    const values = adFromJson({ a: 5, b: 1.5, c: 2 ** 53, d: true, e: '1 + 1', f: -0 }).attributes;
    expect([...values.values()].map(({ expression }) => expression)).toEqual([
      { kind: 'literal', value: { kind: 'integer', value: 5n } },
      { kind: 'literal', value: { kind: 'real', value: 1.5 } },
      { kind: 'literal', value: { kind: 'real', value: 2 ** 53 } },
      { kind: 'literal', value: { kind: 'boolean', value: true } },
      { kind: 'literal', value: { kind: 'string', value: '1 + 1' } },
      { kind: 'literal', value: { kind: 'integer', value: 0n } },
    ]);
  });

  it.each<readonly [string, Record<string, string | number | boolean>]>([
    ['a name with a space', { 'a b': 1 }],
    ['an empty name', { '': 1 }],
    ['a name that is a word of the language', { True: 1 }],
    ['an operator', { isnt: 1 }],
    ['a name with a line end', { 'a\n': 1 }],
    ['a very long name', { ['a'.repeat(257)]: 1 }],
    ['names that differ in case only', { memory: 1, Memory: 2 }],
    ['a very long string', { a: 'x'.repeat(65_537) }],
    ['too many attributes', Object.fromEntries(Array.from({ length: 1025 }, (_, at) => [`a${at}`, at]))],
  ])('refuses %s', (_, record) =>
    expect(() => adFromJson(record)).toThrow(expect.objectContaining({ code: 'CLASSAD_SYNTAX' })),
  );

  it('takes names that mean something to JavaScript as plain names', () => {
    const ad = adFromJson(JSON.parse('{"__proto__": 7, "constructor": 8}'));
    expect(
      matches(parseExpression('__proto__ == 7 && constructor == 8 && toString is undefined'), ad, emptyAd),
    ).toBe(true);
  });
});

describe('significantAttributes', () => {
  it.each([
    ['1 + 2', []],
    ['other.Memory >= my.RequestMemory && OpSys == "x"', ['memory', 'opsys', 'requestmemory']],
    ['Memory > 1 || MEMORY < 2 || other.memory == 3', ['memory']],
    ['member(other.Packages, name) ? list[at].inner : -a', ['a', 'at', 'list', 'name', 'packages']],
    ['x ?: { y, [ z = w ] }', ['w', 'x', 'y']],
    ['ifThenElse(a, b, c)', ['a', 'b', 'c']],
  ])('%s', (text, names) => expect(significantAttributes(parseExpression(text))).toEqual(names));
});
