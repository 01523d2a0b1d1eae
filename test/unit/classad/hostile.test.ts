import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { evaluate } from '../../../protocol/classad/evaluate.ts';
import { adFromJson } from '../../../protocol/classad/json-ad.ts';
import { maxDepth, maxNodes, maxSourceLength, maxStringLength } from '../../../protocol/classad/limits.ts';
import { matches } from '../../../protocol/classad/match.ts';
import { parseAd, parseExpression } from '../../../protocol/classad/parser.ts';
import { significantAttributes } from '../../../protocol/classad/significant-attributes.ts';
import { unparse } from '../../../protocol/classad/unparse.ts';
import { emptyAd, evaluated, written } from './evaluated.ts';

const refused = expect.objectContaining({ code: 'CLASSAD_SYNTAX' });

function elapsedMs(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

describe('the parser is bounded', () => {
  it.each([
    ['parentheses', '('.repeat(10_000)],
    ['parentheses within the length', `${'('.repeat(2000)}1${')'.repeat(2000)}`],
    ['brackets', `${'a['.repeat(1200)}0${']'.repeat(1200)}`],
    ['braces', '{'.repeat(4000)],
    ['ads', '[a='.repeat(1300)],
    ['calls', 'f('.repeat(2000)],
    ['signs', `${'- '.repeat(2000)}a`],
    ['negations', `${'!'.repeat(4000)}a`],
    ['choices to the right', `${'a?b:'.repeat(1000)}c`],
    ['choices in the middle', 'a?'.repeat(2000)],
    ['fallbacks', `${'a?:'.repeat(1300)}b`],
    ['selections', `a${'.b'.repeat(2000)}`],
    ['indices', `a${'[0]'.repeat(1300)}`],
    [
      'depth split between indices and parentheses',
      `${'('.repeat(40)}a${'[0])'.repeat(40)}${'[0]'.repeat(40)}`,
    ],
    ['more text than allowed', `${'a'.repeat(200)} ${' '.repeat(maxSourceLength)}`],
    ['a chain of 5,000', Array.from({ length: 5000 }, () => '1').join('+')],
    ['too many parts', Array.from({ length: maxNodes / 2 + 1 }, () => '1').join('+')],
    ['a long name', 'a'.repeat(300)],
    ['a long number', '9'.repeat(4096)],
  ])('refuses %s', (_, text) => {
    expect(() => parseExpression(text)).toThrow(refused);
    expect(() => parseAd(`[x = ${text}]`)).toThrow(refused);
  });

  it(`accepts nesting of exactly ${maxDepth}, and evaluates it`, () => {
    const text = (depth: number): string => `${'!'.repeat(depth - 1)}true`;
    expect(evaluated(text(maxDepth))).toBe('false');
    expect(() => parseExpression(text(maxDepth + 2))).toThrow(refused);
  });

  it('evaluates, prints and reads back a chain of a thousand terms', () => {
    const text = Array.from({ length: 1000 }, (_, at) => (at % 2 === 0 ? 'a' : '1')).join(' + ');
    const expression = parseExpression(text);
    expect(written(evaluate(expression, { my: parseAd('[a = 2]') }))).toBe('1500');
    expect(unparse(expression)).toBe(text);
    expect(significantAttributes(expression)).toEqual(['a']);
  });
});

describe('an evaluation over its budget is an error, whatever the expression makes of it', () => {
  /** Each attribute asks for the one before it twice: 2 to the power of 40 evaluations. */
  const doubling = `[ a0 = 1; ${Array.from({ length: 40 }, (_, at) => `a${at + 1} = a${at} + a${at}`).join('; ')} ]`;

  it('stops exponential references', () => {
    expect(evaluated('a5', doubling)).toBe('32');
    expect(elapsedMs(() => expect(evaluated('a40', doubling)).toBe('error'))).toBeLessThan(1000);
  });

  it.each([
    'isError(a40)',
    'a40 =?= error',
    'true || a40',
    'a40 =!= undefined',
    'a40 ?: 1',
    'isUndefined(a40) || true',
  ])('cannot be masked: %s', (text) => {
    const decidedEarly = text.startsWith('true');
    expect(evaluated(text, doubling)).toBe(decidedEarly ? 'true' : 'error');
  });

  it('honours a smaller budget', () => {
    const expression = parseExpression('1 + 2 + 3');
    expect(written(evaluate(expression, { my: emptyAd, budget: 6 }))).toBe('6');
    expect(written(evaluate(expression, { my: emptyAd, budget: 5 }))).toBe('error');
    expect(written(evaluate(expression, { my: emptyAd, budget: 0 }))).toBe('error');
  });

  it('stops a chain of references deeper than the limit', () => {
    const chain = (length: number): string =>
      `[ a0 = 1; ${Array.from({ length }, (_, at) => `a${at + 1} = a${at}`).join('; ')} ]`;
    expect(evaluated('a50', chain(50))).toBe('1');
    expect(evaluated('a90', chain(90))).toBe('error');
    expect(evaluated('isError(a90)', chain(90))).toBe('error');
  });

  it('stops two ads that send each other deeper', () => {
    expect(evaluated('a', '[ a = [ x = other.b ].x ]', '[ b = [ y = other.a ].y ]')).toBe('error');
  });

  it('stops strings that grow', () => {
    const big = `[ s0 = "${'x'.repeat(100)}"; ${Array.from({ length: 30 }, (_, at) => `s${at + 1} = strcat(s${at}, s${at})`).join('; ')} ]`;
    expect(evaluated('size(s5)', big)).toBe('3200');
    expect(elapsedMs(() => expect(evaluated('size(s30)', big)).toBe('error'))).toBeLessThan(1000);
    const ad = adFromJson({ s: 'x'.repeat(maxStringLength) });
    expect(written(evaluate(parseExpression('size(s)'), { my: ad }))).toBe(String(maxStringLength));
    expect(written(evaluate(parseExpression('isError(strcat(s, "y"))'), { my: ad }))).toBe('error');
  });

  it('stops work on long strings, item by item', () => {
    const ad = adFromJson({ s: 'x'.repeat(maxStringLength), t: `${'x'.repeat(maxStringLength - 1)}y` });
    for (const work of [
      's == t',
      's =?= t',
      'toUpper(s)',
      'substr(s, 1)',
      'stringListMember("a", s)',
      'versioncmp(s, t)',
      'member(s, {t, t, t})',
    ]) {
      const often = parseExpression(`{${Array.from({ length: 40 }, () => work).join(', ')}}`);
      expect(elapsedMs(() => expect(written(evaluate(often, { my: ad }))).toBe('error'))).toBeLessThan(1000);
    }
  });

  it('stops lists with too many items', () => {
    const list = (length: number): string => `size({${Array.from({ length }, () => '1').join(',')}})`;
    expect(evaluated(list(1024))).toBe('1024');
    expect(evaluated(`isError(${list(1025)})`)).toBe('error');
  });
});

describe('patterns run in linear time', () => {
  const text = 'a'.repeat(4000);
  it.each([
    ['(a+)+$', `${'a'.repeat(28)}!`, 'false'],
    ['^(a|a)*$', `${'a'.repeat(40)}!`, 'false'],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a'.repeat(40), 'false'],
    ['(.*)*(.*)*(.*)*x', 'a'.repeat(200), 'false'],
    ['(x+x+)+y', 'x'.repeat(100), 'false'],
    ['(a{1000}){1000}', 'a', 'error'],
    ['((a{30}){30}){30}', 'a', 'error'],
    ['a{99999999999999999999}', 'a', 'error'],
    ['(a|b)*a(a|b){500}$', text, 'error'],
    ['(\\\\pL){900}', text, 'error'],
    ['(a?){500}a{500}', text, 'error'],
  ])('%s', (pattern, target, value) => {
    const expression = parseExpression(`regexp("${pattern}", t)`);
    const my = adFromJson({ t: target });
    expect(elapsedMs(() => expect(written(evaluate(expression, { my }))).toBe(value))).toBeLessThan(1000);
  });

  it('bounds all patterns of one evaluation together', () => {
    const expression = parseExpression(
      Array.from({ length: 60 }, (_, at) => `regexp("(a|b)*${at}(a|b){90}$", t)`).join(' || '),
    );
    const my = adFromJson({ t: text });
    expect(elapsedMs(() => expect(written(evaluate(expression, { my }))).toBe('error'))).toBeLessThan(1000);
  });
});

describe('a host cannot talk its way into a match', () => {
  it.each([
    { memory: 'true || true' },
    { memory: '4096; Requirements = true' },
    { memory: '"' },
    { memory: Number.NaN },
    { memory: Number.POSITIVE_INFINITY * 0 },
  ])('text in an ad stays text: %j', (record) =>
    expect(matches(parseExpression('other.memory >= 2048'), emptyAd, adFromJson(record))).toBe(false),
  );
});
