import { describe, expect, it } from 'vitest';
import { parseExpression } from '../../../protocol/classad/parser.ts';
import { evaluated } from './evaluated.ts';

const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!=', '=?=', '=!='],
  ['<', '<=', '>', '>='],
  ['<<', '>>', '>>>'],
  ['+', '-'],
  ['*', '/', '%'],
];

const all = levels.flatMap((operators, level) => operators.map((operator) => ({ operator, level })));
const pairs = all.flatMap((first) => all.map((second) => ({ first, second })));

describe('precedence of binary operators', () => {
  it.each(pairs)('$first.operator before $second.operator', ({ first, second }) => {
    const bare = parseExpression(`a ${first.operator} b ${second.operator} c`);
    const left = parseExpression(`(a ${first.operator} b) ${second.operator} c`);
    const right = parseExpression(`a ${first.operator} (b ${second.operator} c)`);
    expect(bare).toEqual(first.level >= second.level ? left : right);
    expect(left).not.toEqual(right);
  });
});

describe('grouping', () => {
  it.each([
    ['-a * b', '(-a) * b'],
    ['!a && b', '(!a) && b'],
    ['!a == b', '(!a) == b'],
    ['-a.b', '-(a.b)'],
    ['!a[0]', '!(a[0])'],
    ['- - a', '-(-a)'],
    ['!~a', '!(~a)'],
    ['a is b', 'a =?= b'],
    ['a ISNT b', 'a =!= b'],
    ['a || b ? c : d', '(a || b) ? c : d'],
    ['a ? b : c ? d : e', 'a ? b : (c ? d : e)'],
    ['a ? b ? c : d : e', 'a ? (b ? c : d) : e'],
    ['a ? b : c || d', 'a ? b : (c || d)'],
    ['a ?: b + c', '(a ?: b) + c'],
    ['a + b ?: c', 'a + (b ?: c)'],
    ['-a ?: b', '-(a ?: b)'],
    ['a ?: b.c', 'a ?: (b.c)'],
    ['a.b ?: c', '(a.b) ?: c'],
    ['a ?: b ?: c', 'a ?: (b ?: c)'],
    ['a ?: b[0]', 'a ?: (b[0])'],
    ['a ? : b + c', 'a ?: (b + c)'],
    ['a || b ? : c', '(a || b) ?: c'],
    ['MY.a', 'my.a'],
    ['a ? my.b : other.c', 'a ? (my.b) : (other.c)'],
  ])('%s reads as %s', (text, grouped) => expect(parseExpression(text)).toEqual(parseExpression(grouped)));

  it('tells the single token ?: from a choice with nothing in the middle', () => {
    expect(evaluated('10 ?: 2 + 3')).toBe('13');
    expect(evaluated('10 ? : 2 + 3')).toBe('10');
  });
});
