import { describe, expect, it } from 'vitest';
import { evaluated } from './evaluated.ts';

describe('where names are looked up', () => {
  const my =
    '[ a = 1; shared = "mine"; fromOther = target.c; viaBare = c; nested = [ d = a ]; gap = undefined ]';
  const target =
    '[ b = 2; c = 3; shared = "theirs"; back = my.b; forth = target.a; gap = 9; onlyTheirs = a + 10 ]';

  it.each([
    ['a', '1'],
    ['A', '1'],
    ['b', '2'],
    ['shared', '"mine"'],
    ['my.shared', '"mine"'],
    ['MY.Shared', '"mine"'],
    ['self.shared', '"mine"'],
    ['target.shared', '"theirs"'],
    ['OTHER.shared', '"theirs"'],
    ['my.b', 'undefined'],
    ['target.a', 'undefined'],
    ['missing', 'undefined'],
    ['fromOther', '3'],
    ['viaBare', '3'],
    ['target.back', '2'],
    ['other.forth', '1'],
    ['back', '2'],
    ['onlyTheirs', '11'],
    ['gap', 'undefined'],
    ['nested.d', '1'],
    ['other', 'undefined'],
  ])('%s is %s', (text, value) => expect(evaluated(text, my, target)).toBe(value));

  it('has no other ad when evaluated alone', () => {
    expect(evaluated('target.a', my)).toBe('undefined');
    expect(evaluated('other.a', my)).toBe('undefined');
    expect(evaluated('fromOther', my)).toBe('undefined');
  });
});

describe('circular references are errors, and only those references', () => {
  it.each([
    ['a', '[ a = a ]', undefined, 'error'],
    ['a', '[ a = b; b = c; c = a ]', undefined, 'error'],
    ['a + 1', '[ a = a + 1 ]', undefined, 'error'],
    ['a', '[ a = target.b ]', '[ b = target.a ]', 'error'],
    ['a', '[ a = b ]', '[ b = a ]', 'error'],
    ['n', '[ n = [ x = n ].x ]', undefined, 'error'],
    ['isError(a)', '[ a = a ]', undefined, 'true'],
    ['a', '[ a = true || a ]', undefined, 'true'],
    ['b', '[ a = a; b = 5 ]', undefined, '5'],
    ['a + a', '[ a = b; b = 2 ]', undefined, '4'],
  ])('%s in %s', (text, my, target, value) => expect(evaluated(text, my, target)).toBe(value));
});
