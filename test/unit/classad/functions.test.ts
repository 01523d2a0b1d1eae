import { describe, expect, it } from 'vitest';
import { evaluated } from './evaluated.ts';

describe('questions about types', () => {
  const samples: Readonly<Record<string, string>> = {
    isUndefined: 'undefined',
    isError: 'error',
    isString: '"a"',
    isInteger: '1',
    isReal: '1.0',
    isBoolean: 'true',
    isList: '{1}',
    isClassAd: '[a = 1]',
  };
  it.each(Object.keys(samples))('%s is true for its own type only', (name) => {
    for (const [of, sample] of Object.entries(samples))
      expect(evaluated(`${name}(${sample})`)).toBe(String(of === name));
  });
});

describe('conversions', () => {
  it.each([
    ['int(3.9)', '3'],
    ['int(-3.9)', '-3'],
    ['int("42")', '42'],
    ['int("-42")', '-42'],
    ['int("3.7")', '3'],
    ['int(true)', '1'],
    ['int("9223372036854775807")', '9223372036854775807'],
    ['int("9223372036854775808")', 'error'],
    ['int(1e30)', 'error'],
    ['int("1e400")', 'error'],
    ['int("abc")', 'error'],
    ['int("12abc")', 'error'],
    ['int("")', 'error'],
    ['int(undefined)', 'error'],
    ['int(error)', 'error'],
    ['int({1})', 'error'],
    ['real(3)', '3.0'],
    ['real("2.5")', '2.5'],
    ['real("1e3")', '1000.0'],
    ['real(true)', '1.0'],
    ['real("x")', 'error'],
    ['real(undefined)', 'error'],
    ['real("INF") > 1e300', 'true'],
    ['real("-INF") < 0', 'true'],
    ['real("NaN") == real("NaN")', 'false'],
    ['real([a = 1])', 'error'],
    ['string(5)', '"5"'],
    ['string(1.5)', '"1.5"'],
    ['string(2.0)', '"2.0"'],
    ['string(true)', '"true"'],
    ['string("a")', '"a"'],
    ['string(undefined)', 'error'],
    ['string({1})', 'error'],
    ['bool(0)', 'false'],
    ['bool(2.5)', 'true'],
    ['bool("TRUE")', 'true'],
    ['bool("false")', 'false'],
    ['bool("yes")', 'error'],
    ['bool(undefined)', 'error'],
    ['bool(true)', 'true'],
    ['bool(real("NaN"))', 'error'],
    ['bool({true})', 'error'],
    ['floor(2.7)', '2'],
    ['floor(-2.1)', '-3'],
    ['floor(5)', '5'],
    ['floor("2.7")', '2'],
    ['floor("x")', 'error'],
    ['ceiling(2.1)', '3'],
    ['ceiling(-2.7)', '-2'],
    ['ceiling(undefined)', 'error'],
    ['ceiling(real("INF"))', 'error'],
    ['round(2.5)', '2'],
    ['round(3.5)', '4'],
    ['round(-2.5)', '-2'],
    ['round(2.4)', '2'],
    ['round(-2.6)', '-3'],
    ['round(2.6)', '3'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('member', () => {
  it.each([
    ['member("a", {"b", "A"})', 'true'],
    ['member({"b", "A"}, "a")', 'true'],
    ['member("c", {"a", "b"})', 'false'],
    ['member(1, {1.0})', 'true'],
    ['member("1", {1, undefined, error})', 'false'],
    ['member("a", {1, error, "a"})', 'true'],
    ['member("a", {})', 'false'],
    ['member({}, "a")', 'false'],
    ['member("a", undefined)', 'undefined'],
    ['member(other.Packages, "a")', 'undefined'],
    ['member(undefined, {1})', 'undefined'],
    ['member(error, {1})', 'error'],
    ['member("a", "a")', 'error'],
    ['member({1}, {{1}})', 'error'],
    ['member([a = 1], {1})', 'error'],
    ['identicalMember("A", {"a"})', 'false'],
    ['identicalMember("a", {"a"})', 'true'],
    ['identicalMember({"a"}, "a")', 'true'],
    ['identicalMember(1, {1.0})', 'false'],
    ['identicalMember(undefined, {1, undefined})', 'true'],
    ['identicalMember("a", undefined)', 'undefined'],
    ['identicalMember("a", "a")', 'error'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('sums over lists', () => {
  it.each([
    ['sum({1, 2, 3})', '6'],
    ['sum({1, 2.5})', '3.5'],
    ['sum({})', '0'],
    ['sum({1, undefined, 2})', '3'],
    ['sum({undefined})', 'undefined'],
    ['sum({1, "a"})', 'error'],
    ['sum({1, error})', 'error'],
    ['sum({true})', 'error'],
    ['sum(5)', 'error'],
    ['sum(undefined)', 'undefined'],
    ['sum({9223372036854775807, 1})', '-9223372036854775808'],
    ['avg({1, 2})', '1.5'],
    ['avg({2})', '2.0'],
    ['avg({})', '0.0'],
    ['avg({undefined})', 'undefined'],
    ['avg({1, undefined, 3})', '2.0'],
    ['avg({"a"})', 'error'],
    ['min({3, 1, 2})', '1'],
    ['min({3, 1.5})', '1.5'],
    ['min({1, 1.5})', '1.0'],
    ['min({})', 'undefined'],
    ['min({undefined, 4})', '4'],
    ['min({"a", 1})', 'error'],
    ['max({3, 1, 2})', '3'],
    ['max({3, 1.5})', '3.0'],
    ['max({})', 'undefined'],
    ['max(undefined)', 'undefined'],
    ['max("a")', 'error'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('strings', () => {
  it.each([
    ['strcat("a", 1, true, 2.5)', '"a1true2.5"'],
    ['strcat()', '""'],
    ['strcat("a", undefined)', 'error'],
    ['strcat("a", {1})', 'error'],
    ['toUpper("aé1")', '"Aé1"'],
    ['toLower("ABC")', '"abc"'],
    ['toUpper(true)', '"TRUE"'],
    ['toLower(undefined)', 'error'],
    ['substr("abcdef", 2)', '"cdef"'],
    ['substr("abcdef", 1, 3)', '"bcd"'],
    ['substr("abcdef", -2)', '"ef"'],
    ['substr("abcdef", 1, -2)', '"bcd"'],
    ['substr("abc", 5)', '""'],
    ['substr("abc", -5)', '"abc"'],
    ['substr("abc", 1, 99)', '"bc"'],
    ['substr("abc", 1, 0)', '""'],
    ['substr("abc", 2, -5)', '""'],
    ['substr("a😀b", 1, 1)', '"😀"'],
    ['substr(5, 1)', 'error'],
    ['substr("abc", "1")', 'error'],
    ['substr("abc", 1, 1.0)', 'error'],
    ['substr("abc", 9223372036854775807, 9223372036854775807)', '""'],
    ['substr("abc", -9223372036854775808)', '"abc"'],
    ['size("abc")', '3'],
    ['size("a😀")', '2'],
    ['size({1, 2})', '2'],
    ['size([a = 1])', '1'],
    ['size(5)', 'error'],
    ['size(undefined)', 'undefined'],
    ['stringListMember("b", "a, b,c")', 'true'],
    ['stringListMember("B", "a,b")', 'false'],
    ['stringListIMember("B", "a,b")', 'true'],
    ['stringListMember("b", "a:b", ":")', 'true'],
    ['stringListMember("b", "a:b")', 'false'],
    ['stringListMember("", "a,,b")', 'false'],
    ['stringListMember("c", "a b c")', 'true'],
    ['stringListMember("a", "")', 'false'],
    ['stringListMember(1, "1")', 'error'],
    ['stringListMember("a", undefined)', 'error'],
    ['stringListIMember("a", "A", 1)', 'error'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('regexp', () => {
  it.each([
    ['regexp("^x86", "x86_64")', 'true'],
    ['regexp("64$", "x86_64")', 'true'],
    ['regexp("arm", "x86_64")', 'false'],
    ['regexp("X86", "x86_64")', 'false'],
    ['regexp("X86", "x86_64", "i")', 'true'],
    ['regexp("^b", "a\\nb")', 'false'],
    ['regexp("^b", "a\\nb", "M")', 'true'],
    ['regexp("a.b", "a\\nb")', 'false'],
    ['regexp("a.b", "a\\nb", "s")', 'true'],
    ['regexp("a", "a", "zq")', 'true'],
    ['regexp("v[0-9]{2,3}-[0-9]{1,4}", "v15-2024")', 'true'],
    ['regexp("(", "a")', 'error'],
    ['regexp("(?=a)", "a")', 'error'],
    ['regexp("(a)\\\\1", "aa")', 'error'],
    ['regexp("\\\\Qa\\\\E", "a")', 'error'],
    ['regexp(1, "a")', 'error'],
    ['regexp("a", 1)', 'error'],
    ['regexp("a", "a", 1)', 'error'],
    ['regexp(undefined, "a")', 'undefined'],
    ['regexp("a", error)', 'error'],
    ['regexp("", "a")', 'true'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));

  it('refuses a pattern longer than 256 characters', () => {
    expect(evaluated(`regexp("${'a'.repeat(256)}", "a")`)).toBe('false');
    expect(evaluated(`regexp("${'a'.repeat(257)}", "a")`)).toBe('error');
  });
});

describe('versions', () => {
  const rising = ['000', '00', '01', '010', '09', '0', '1', '9', '10'];
  it('orders the manual’s example', () => {
    for (const [at, left] of rising.entries()) {
      for (const [against, right] of rising.entries()) {
        expect(evaluated(`versioncmp("${left}", "${right}")`)).toBe(String(Math.sign(at - against)));
      }
    }
  });

  it.each([
    ['versioncmp("7.9", "7.10")', '-1'],
    ['versioncmp("7.x", "7.y")', '-1'],
    ['versioncmp("8.0", "7.99")', '1'],
    ['versioncmp("7.1", "7.1.1")', '-1'],
    ['versioncmp("a", "A")', '1'],
    ['versioncmp(1, "1")', 'error'],
    ['versioncmp("1", undefined)', 'error'],
    ['versionLT("7.9", "7.10")', 'true'],
    ['version_LT("7.10", "7.9")', 'false'],
    ['versionLE("7.9", "7.9")', 'true'],
    ['version_LE("7.10", "7.9")', 'false'],
    ['versionGT("7.10", "7.9")', 'true'],
    ['version_GT("7.9", "7.9")', 'false'],
    ['versionGE("7.9", "7.9")', 'true'],
    ['version_GE("7.8", "7.9")', 'false'],
    ['versionEQ("7.9", "7.9")', 'true'],
    ['version_EQ("7.9", "7.90")', 'false'],
    ['version_in_range("7.9", "7.1", "7.10")', 'true'],
    ['version_in_range("7.11", "7.1", "7.10")', 'false'],
    ['version_in_range("7.0", "7.1", "7.10")', 'false'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('ifThenElse', () => {
  it.each([
    ['ifThenElse(true, 1, error)', '1'],
    ['ifThenElse(0, error, 2)', '2'],
    ['ifThenElse(0.5, 1, 2)', '1'],
    ['ifThenElse(undefined, 1, 2)', 'undefined'],
    ['ifThenElse(error, 1, 2)', 'error'],
    ['ifThenElse("true", 1, 2)', 'error'],
    ['ifThenElse(true, 1)', 'error'],
    ['IFTHENELSE(true, 1, 2)', '1'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('calls', () => {
  it.each([
    'isUndefined()',
    'isUndefined(1, 2)',
    'member(1)',
    'member(1, {1}, 2)',
    'substr("a")',
    'substr("a", 1, 2, 3)',
    'size()',
    'int()',
    'min(1, 2)',
    'regexp("a")',
    'regexp("a", "b", "i", "j")',
    'stringListMember("a")',
    'versioncmp("a")',
    'version_in_range("a", "b")',
    'ifThenElse(1, 2, 3, 4)',
  ])('a wrong number of parameters is an error: %s', (text) => expect(evaluated(text)).toBe('error'));

  it.each([
    'noSuchFunction(1)',
    'toString()',
    'constructor("a")',
    '__proto__()',
    'hasOwnProperty("a")',
    'absTime("x")',
    'relTime("x")',
  ])('an unknown function is an error: %s', (text) => expect(evaluated(text)).toBe('error'));

  it('finds functions in any case', () =>
    expect(evaluated('ISUNDEFINED(missing) && iSsTrInG("a")')).toBe('true'));
});
