import { describe, expect, it } from 'vitest';
import { evaluated } from './evaluated.ts';

describe('arithmetic', () => {
  it.each([
    ['1 + 2', '3'],
    ['7 - 10', '-3'],
    ['6 * 7', '42'],
    ['7 / 2', '3'],
    ['-7 / 2', '-3'],
    ['7 / -2', '-3'],
    ['7 % 3', '1'],
    ['-7 % 3', '-1'],
    ['7 % -3', '1'],
    ['1 + 2.5', '3.5'],
    ['7 / 2.0', '3.5'],
    ['-7.5 % 2', '-1.5'],
    ['2.0 * 3', '6.0'],
    ['true + 1', '2'],
    ['true + true', '2'],
    ['false * 1.5', '0.0'],
    ['-true', '-1'],
    ['+3', '3'],
    ['--3', '3'],
    ['~0', '-1'],
    ['~5', '-6'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));

  it.each([
    '1 / 0',
    '1 % 0',
    '1.0 / 0',
    '1 / 0.0',
    '1 % 0.0',
    '1 / false',
    '0 / 0',
    '"a" + 1',
    '1 + "a"',
    '"a" + "b"',
    '{1} + 1',
    '1 - [a = 1]',
    '-"a"',
    '~1.5',
    '~"a"',
    '-{1}',
    '1 / -0.0',
  ])('%s is an error', (text) => expect(evaluated(text)).toBe('error'));

  it.each([
    ['9223372036854775807 + 1', '-9223372036854775808'],
    ['-9223372036854775808 - 1', '9223372036854775807'],
    ['9223372036854775807 * 2', '-2'],
    ['4294967296 * 4294967296', '0'],
    ['-9223372036854775808 / -1', '-9223372036854775808'],
    ['-(-9223372036854775808)', '-9223372036854775808'],
    ['9007199254740993 - 1', '9007199254740992'],
  ])('integers have 64 bits and wrap: %s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('bits', () => {
  it.each([
    ['12 & 10', '8'],
    ['12 | 10', '14'],
    ['12 ^ 10', '6'],
    ['true & false', 'false'],
    ['true | false', 'true'],
    ['true ^ true', 'false'],
    ['true & 3', '1'],
    ['1 << 4', '16'],
    ['1 << 63', '-9223372036854775808'],
    ['-16 >> 2', '-4'],
    ['-16 >>> 60', '15'],
    ['-1 >>> 0', '-1'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));

  it.each([
    '1.0 & 1',
    '1 | "a"',
    '1 << 64',
    '1 << -1',
    '1 >> 64',
    '1 >>> 4611686018427387904',
    '1 << 9223372036854775807',
    '1 << 1.0',
  ])('%s is an error', (text) => expect(evaluated(text)).toBe('error'));
});

describe('strictness of arithmetic, bits and comparison', () => {
  const operators = [
    '+',
    '-',
    '*',
    '/',
    '%',
    '<',
    '<=',
    '>',
    '>=',
    '==',
    '!=',
    '&',
    '|',
    '^',
    '<<',
    '>>',
    '>>>',
  ];
  it.each(operators)('%s gives error for an error, else undefined for undefined', (operator) => {
    expect(evaluated(`error ${operator} 1`)).toBe('error');
    expect(evaluated(`1 ${operator} error`)).toBe('error');
    expect(evaluated(`error ${operator} undefined`)).toBe('error');
    expect(evaluated(`undefined ${operator} error`)).toBe('error');
    expect(evaluated(`undefined ${operator} 1`)).toBe('undefined');
    expect(evaluated(`1 ${operator} undefined`)).toBe('undefined');
    expect(evaluated(`undefined ${operator} "a"`)).toBe('undefined');
    expect(evaluated(`{1} ${operator} undefined`)).toBe('undefined');
  });

  it.each(['+', '-', '~', '!'])('unary %s keeps undefined and error', (operator) => {
    expect(evaluated(`${operator}undefined`)).toBe('undefined');
    expect(evaluated(`${operator}error`)).toBe('error');
  });
});

describe('comparison', () => {
  it.each([
    ['1 == 1', 'true'],
    ['1 == 1.0', 'true'],
    ['1 != 2', 'true'],
    ['1 < 1.5', 'true'],
    ['2 <= 1.5', 'false'],
    ['2 >= 2', 'true'],
    ['3 > 2', 'true'],
    ['"Linux" == "LINUX"', 'true'],
    ['"Linux" != "LINUX"', 'false'],
    ['"abc" < "ABD"', 'true'],
    ['"B" > "a"', 'true'],
    ['"É" == "é"', 'false'],
    ['true == 1', 'true'],
    ['true == 1.0', 'true'],
    ['false < true', 'true'],
    ['true > 2', 'false'],
    ['9007199254740993 == 9007199254740992', 'false'],
    ['9007199254740993 == 9007199254740992.0', 'true'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));

  it.each([
    '"1" == 1',
    '1 < "1"',
    '"true" == true',
    '{1} == {1}',
    '{1} != 1',
    '[a = 1] == [a = 1]',
    '"a" >= {"a"}',
    '1 == [a = 1]',
  ])('%s is an error', (text) => expect(evaluated(text)).toBe('error'));
});

describe('identity', () => {
  it.each([
    ['1 =?= 1', 'true'],
    ['1 =?= 1.0', 'false'],
    ['1 =?= true', 'false'],
    ['"a" =?= "a"', 'true'],
    ['"a" =?= "A"', 'false'],
    ['"1" =?= 1', 'false'],
    ['undefined =?= undefined', 'true'],
    ['undefined =?= 1', 'false'],
    ['error =?= error', 'true'],
    ['error =?= undefined', 'false'],
    ['(1 / 0) =?= error', 'true'],
    ['missing is undefined', 'true'],
    ['missing isnt undefined', 'false'],
    ['1 IS 1', 'true'],
    ['{1, "a", {2}} =?= {1, "a", {2}}', 'true'],
    ['{1, "a"} =?= {1, "A"}', 'false'],
    ['{1} =?= {1, 2}', 'false'],
    ['{1} =?= 1', 'false'],
    ['[a = 1; b = 2] =?= [B = 2; A = 1]', 'true'],
    ['[a = 1] =?= [a = 2]', 'false'],
    ['[a = 1] =?= [b = 1]', 'false'],
    ['[a = 1] =?= [a = 1; b = 2]', 'false'],
    ['[a = 1] =?= 1', 'false'],
    ['1.5 =?= 1.5', 'true'],
  ])('%s is %s, and the opposite of =!=', (text, value) => {
    expect(evaluated(text)).toBe(value);
    if (text.includes('=?='))
      expect(evaluated(text.replace('=?=', '=!='))).toBe(value === 'true' ? 'false' : 'true');
  });
});

describe('logic', () => {
  const meanings: readonly (readonly [string, string])[] = [
    ['true', 'T'],
    ['5', 'T'],
    ['-0.5', 'T'],
    ['false', 'F'],
    ['0', 'F'],
    ['0.0', 'F'],
    ['undefined', 'U'],
    ['missing', 'U'],
    ['error', 'E'],
    ['"true"', 'E'],
    ['""', 'E'],
    ['{true}', 'E'],
    ['[a = true]', 'E'],
    ['real("NaN")', 'E'],
  ];
  const names: Readonly<Record<string, string>> = { T: 'true', F: 'false', U: 'undefined', E: 'error' };
  const and: Readonly<Record<string, string>> = {
    TT: 'T',
    TF: 'F',
    TU: 'U',
    TE: 'E',
    FT: 'F',
    FF: 'F',
    FU: 'F',
    FE: 'F',
    UT: 'U',
    UF: 'F',
    UU: 'U',
    UE: 'E',
    ET: 'E',
    EF: 'E',
    EU: 'E',
    EE: 'E',
  };
  const or: Readonly<Record<string, string>> = {
    TT: 'T',
    TF: 'T',
    TU: 'T',
    TE: 'T',
    FT: 'T',
    FF: 'F',
    FU: 'U',
    FE: 'E',
    UT: 'T',
    UF: 'U',
    UU: 'U',
    UE: 'E',
    ET: 'E',
    EF: 'E',
    EU: 'E',
    EE: 'E',
  };
  const pairs = meanings.flatMap(([left, a]) =>
    meanings.map(([right, b]) => [left, right, `${a}${b}`] as const),
  );

  it.each(pairs)('%s and %s, in both operators', (left, right, key) => {
    expect(evaluated(`${left} && ${right}`)).toBe(names[and[key]!]);
    expect(evaluated(`${left} || ${right}`)).toBe(names[or[key]!]);
  });

  it.each([
    ['!true', 'false'],
    ['!0', 'true'],
    ['!2.5', 'false'],
    ['!"a"', 'error'],
    ['!{1}', 'error'],
    ['!missing', 'undefined'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('choice', () => {
  it.each([
    ['true ? 1 : 2', '1'],
    ['false ? 1 : 2', '2'],
    ['3 ? 1 : 2', '1'],
    ['0.0 ? 1 : 2', '2'],
    ['undefined ? 1 : 2', 'undefined'],
    ['missing ? 1 : 2', 'undefined'],
    ['error ? 1 : 2', 'error'],
    ['"true" ? 1 : 2', 'error'],
    ['{true} ? 1 : 2', 'error'],
    ['true ? 1 : error', '1'],
    ['false ? 1 / 0 : 2', '2'],
    ['false ? 1 : true ? 2 : 3', '2'],
    ['undefined ?: 5', '5'],
    ['1 ?: error', '1'],
    ['error ?: 5', 'error'],
    ['false ?: 5', 'false'],
    ['missing ?: other.gone ?: 7', '7'],
    ['missing ? : 2 + 3', '5'],
    ['4 ? : 2 + 3', '4'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('lists and nested ads', () => {
  it.each([
    ['{10, 20, 30}[0]', '10'],
    ['{10, 20, 30}[2]', '30'],
    ['{10, 20}[2]', 'error'],
    ['{10, 20}[-1]', 'error'],
    ['{}[0]', 'error'],
    ['{1}[9223372036854775807]', 'error'],
    ['{1}[1.0]', 'error'],
    ['{1}["0"]', 'error'],
    ['{1}[missing]', 'undefined'],
    ['{1}[error]', 'error'],
    ['missing[0]', 'undefined'],
    ['5[0]', 'error'],
    ['{1 / 0, 2}[1]', '2'],
    ['{1, {2, 3}}[1][0]', '2'],
    ['[a = 1; b = a + 1].b', '2'],
    ['[a = 1].A', '1'],
    ['[a = 1].b', 'undefined'],
    ['[a = 1]["A"]', '1'],
    ['[a = [b = [c = 3]]].a.b.c', '3'],
    ['[a = 1; inner = [b = a]].inner.b', '1'],
    ['missing.a', 'undefined'],
    ['error.a', 'error'],
    ['5.a', 'error'],
    ['{[a = 1]}.a', 'error'],
  ])('%s is %s', (text, value) => expect(evaluated(text.replace('error.a', '(error).a'))).toBe(value));
});
