import { describe, expect, it } from 'vitest';
import { evaluate, parseAd, parseExpression } from '../../../protocol/classad/index.ts';
import { emptyAd, evaluated, written } from './evaluated.ts';

const world = { nowSeconds: 1_472_523, random: () => 0.5 };

function inWorld(text: string): string {
  return written(evaluate(parseExpression(text), { my: emptyAd, world }));
}

describe('functions of lists', () => {
  it.each([
    ['anyCompare("<", {1, 5, 9}, 2)', 'true'],
    ['anyCompare(">", {1, 5, 9}, 20)', 'false'],
    ['allCompare("<=", {1, 5, 9}, 9)', 'true'],
    ['allCompare("<", {1, 5, 9}, 9)', 'false'],
    ['allCompare("==", {"A", "a"}, "a")', 'true'],
    ['allCompare("is", {"A", "a"}, "a")', 'false'],
    ['anyCompare("isnt", {"a"}, "A")', 'true'],
    ['anyCompare("=?=", {1}, 1.0)', 'false'],
    ['allCompare("<", {}, 9)', 'true'],
    ['anyCompare("<", {undefined, "x", 1}, 2)', 'true'],
    ['anyCompare("<", undefined, 2)', 'undefined'],
    ['anyCompare("~", {1}, 2)', 'error'],
    ['anyCompare("<", 1, 2)', 'error'],
    ['anyCompare("<", {1}, {2})', 'error'],
    ['anyCompare("<", {1})', 'error'],
    // AliEn writes the list first, HTCondor the element.
    ['member({"a", "b"}, "b")', 'true'],
    ['member("b", {"a", "b"})', 'true'],
    ['member({1}, {1})', 'error'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('functions that join, split and compare texts', () => {
  it.each([
    ['join(", ", "a", "b", "c")', '"a, b, c"'],
    ['join(split("a b c"))', '"abc"'],
    ['join(";", split("a b c"))', '"a;b;c"'],
    ['join(",", 1, undefined, 2.5, true)', '"1,2.5,true"'],
    ['join(",", "a")', '"a"'],
    ['join(",", {})', '""'],
    ['join(",", error)', 'error'],
    ['join("a")', 'error'],
    ['join(",", {1}, {2})', 'error'],
    ['split("a, b", ", ")', '{"a", "b"}'],
    ['split("  ")', '{}'],
    ['split(5)', 'error'],
    ['split("a;b;;c", ";")', '{"a", "b", "c"}'],
    ['strcmp("a", "b") < 0', 'true'],
    ['strcmp("a", "A") > 0', 'true'],
    ['strcmp(5, "5")', '0'],
    ['stricmp("a", "A")', '0'],
    ['strcmp("a", undefined)', 'error'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('functions of numbers', () => {
  it.each([
    ['pow(2, 10)', '1024'],
    ['pow(-3, 3)', '-27'],
    ['pow(0, 0)', '1'],
    ['pow(-1, 1000000001)', '-1'],
    ['pow(-1, 1000000000)', '1'],
    ['pow(0, 5)', '0'],
    ['pow(2, 63)', 'error'],
    ['pow(2, 9223372036854775807)', 'error'],
    ['pow(2, -1)', '0.5'],
    ['pow(2.0, 3)', '8.0'],
    ['pow("2", 3)', 'error'],
    ['quantize(3, 8)', '8'],
    ['quantize(3, 2)', '4'],
    ['quantize(0, 4)', '0'],
    ['quantize(1.5, 6.8)', '6.8'],
    ['quantize(6.8, 1.2)', '7.199999999999999'],
    ['quantize(10, 5.1)', '10.2'],
    ['quantize(0, {4})', '4'],
    ['quantize(2, {1, 2, "A"})', '2'],
    ['quantize(3, {1, 2, 0.5})', '3.0'],
    ['quantize(2.7, {1, 2, 0.5})', '3.0'],
    ['quantize(3, {1, 2, "A"})', 'error'],
    ['quantize(3, 0)', '3'],
    ['quantize(3, {})', 'error'],
    ['quantize(undefined, 3)', 'error'],
    ['ceil(2.1)', '3'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('functions of regular expressions', () => {
  it.each([
    ['regexps("a(b+)c", "xabbcx", "<\\\\1>")', '"<bb>"'],
    ['regexps("nope", "abc", "x")', '""'],
    ['regexps("nope", "abc", "x", "f")', '"abc"'],
    ['regexps("b", "abcb", "-", "g")', '"--"'],
    ['replace("b", "abcb", "-")', '"a-cb"'],
    ['replaceall("b", "abcb", "-")', '"a-c-"'],
    ['replaceAll("B", "abcb", "-", "i")', '"a-c-"'],
    ['replaceall("", "ab", "-")', '"-a-b-"'],
    ['replace("(a)|(b)", "b", "[\\\\1\\\\2]")', '"[b]"'],
    ['replace("a", "a", "\\\\3")', 'error'],
    ['replace("a", "a", "\\\\n")', '"\\\\n"'],
    ['replace("(", "a", "b")', 'error'],
    ['replace("a", undefined, "b")', 'undefined'],
    ['replace("a", 5, "b")', 'error'],
    ['regexpMember("^b", {"a", "bc"})', 'true'],
    ['regexpMember("^x", {"a", undefined})', 'undefined'],
    ['regexpMember("^a", {undefined, "a"})', 'true'],
    ['regexpMember("^x", {"a", 5})', 'error'],
    ['regexpMember("^x", {})', 'false'],
    ['regexpMember("^x", "x")', 'error'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));

  it('pays for every search of a global replacement', () => {
    const long = `strcat(${Array.from({ length: 40 }, () => `"${'a'.repeat(50)}"`).join(', ')})`;
    expect(evaluated(`replaceall("a.*b|a", ${long}, "")`)).toBe('error');
    expect(evaluated(`size(replaceall("a", "${'a'.repeat(50)}", "${'b'.repeat(2000)}"))`)).toBe('error');
  });
});

describe('functions of lists in one string', () => {
  it.each([
    ['stringListSize("a, b,,c")', '3'],
    ['stringListSize("a b;c", ";")', '2'],
    ['stringListSize(undefined)', 'error'],
    ['stringListSum("1, 2, 3")', '6'],
    ['stringListSum("1, 2.5")', '3.5'],
    ['stringListSum("")', '0'],
    ['stringListSum("1, x")', 'error'],
    ['stringListAvg("1, 2")', '1.5'],
    ['stringListAvg("")', '0.0'],
    ['stringListMin("3, 1, 2")', '1'],
    ['stringListMin("")', 'undefined'],
    ['stringListMax("3, 1.5")', '3.0'],
    ['stringListMember("b", "a,b")', 'true'],
    ['stringListIMember("B", "a,b")', 'true'],
    ['stringListSubsetMatch("a,b", "b a c")', 'true'],
    ['stringListSubsetMatch("a,d", "b a c")', 'false'],
    ['stringListSubsetMatch("A", "a")', 'false'],
    ['stringListISubsetMatch("A", "a")', 'true'],
    ['stringListSubsetMatch(undefined, "a")', 'true'],
    ['stringListSubsetMatch("a", undefined)', 'false'],
    ['stringListSubsetMatch(undefined, undefined)', 'undefined'],
    ['stringListSubsetMatch(5, "a")', 'error'],
    ['stringListsIntersect("a,b", "b,c")', 'true'],
    ['stringListsIntersect("a,b", "c")', 'false'],
    ['stringListsIntersect("a;b", "b", ";")', 'true'],
    ['stringListsIntersect("a", undefined)', 'undefined'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));
});

describe('functions of time', () => {
  it.each([
    ['interval(67)', '"1:07"'],
    ['interval(1472523)', '"17+01:02:03"'],
    ['interval(3600)', '"1:00:00"'],
    ['interval(9)', '"9"'],
    ['interval("x")', 'error'],
    ['formatTime(0, "%Y-%m-%d %H:%M:%S %Z %%")', '"1970-01-01 00:00:00 UTC %"'],
    ['formatTime(1472523)', '"Sun Jan 18 01:02:03 1970"'],
    [
      'formatTime(1472523, "%a %A %b %B %I%p %j %w %y %x %X")',
      '"Sun Sunday Jan January 01AM 018 0 70 01/18/70 01:02:03"',
    ],
    ['formatTime(1472523, "%U %W")', '"03 02"'],
    ['formatTime(1472523, "%q")', '"%q"'],
    ['formatTime(9223372036854775807)', 'error'],
    ['formatTime("x")', 'error'],
    ['formatTime(951782399, "%Y-%m-%d %j")', '"2000-02-28 059"'],
    ['formatTime(951782400, "%Y-%m-%d")', '"2000-02-29"'],
    ['formatTime(4107542400, "%Y-%m-%d %a")', '"2100-03-01 Mon"'],
    ['formatTime(-1, "%Y-%m-%d %H:%M:%S")', '"1969-12-31 23:59:59"'],
    ['formatTime(253402300799, "%Y-%m-%d")', '"9999-12-31"'],
    ['formatTime(-62167219200, "%Y-%m-%d")', '"0000-01-01"'],
    ['time()', 'error'],
    ['random()', 'error'],
    ['formatTime()', 'error'],
  ])('%s is %s', (text, value) => expect(evaluated(text)).toBe(value));

  it.each([
    ['time()', '1472523'],
    ['formatTime()', '"Sun Jan 18 01:02:03 1970"'],
    ['random()', '0.5'],
    ['random(10)', '5'],
    ['random(3.0)', '1.5'],
    ['random(0)', 'error'],
    ['random("x")', 'error'],
  ])('%s is %s where the world is seen', (text, value) => expect(inWorld(text)).toBe(value));
});

describe('functions of expressions', () => {
  it.each([
    ['unparse(a)', '"x + 3"'],
    ['unparse(other.b)', '"c"'],
    ['unparse(missing)', '""'],
    ['unparse(1)', 'error'],
    ['unparse(a, a)', 'error'],
    ['eval("x + 1")', '3'],
    ['eval(strcat("slot", x, "_state"))', '"idle"'],
    ['eval(x)', '2'],
    ['eval("(")', 'error'],
    ['eval(undefined)', 'error'],
    ['eval("me")', 'error'],
    ['eval("other.b")', '9'],
  ])('%s is %s', (text, value) => {
    const my = '[a = x + 3; x = 2; slot2_state = "idle"; me = eval("me")]';
    expect(evaluated(text, my, '[b = c; c = 9]')).toBe(value);
  });

  it('bounds what evaluates itself', () => {
    expect(evaluated('eval(a)', '[a = "eval(a)"]')).toBe('error');
    expect(evaluate(parseExpression('eval(t)'), { my: parseAd(`[t = "${'1+'.repeat(500)}1"]`) }).kind).toBe(
      'integer',
    );
    expect(
      evaluated(
        `{${Array.from({ length: 20 }, () => 'eval(t)').join(',')}}`,
        `[t = "${'1+'.repeat(1000)}1"]`,
      ),
    ).toBe('error');
  });
});
