import { describe, expect, it } from 'vitest';
import { parseAd, parseExpression } from '../../../protocol/classad/parser.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { evaluated } from './evaluated.ts';

function failure(parse: () => unknown): CoPilotError {
  try {
    parse();
  } catch (caught) {
    if (caught instanceof CoPilotError) return caught;
    throw caught;
  }
  throw new Error('the text was accepted');
}

describe('literals', () => {
  it.each([
    ['0', 'integer', 0n],
    ['9223372036854775807', 'integer', 9223372036854775807n],
    ['-9223372036854775808', 'integer', -9223372036854775808n],
    ['1.50', 'real', 1.5],
    ['1e3', 'real', 1000],
    ['2.5E-1', 'real', 0.25],
    ['0.5', 'real', 0.5],
    ['-2.0', 'real', -2],
    ['TRUE', 'boolean', true],
    ['False', 'boolean', false],
    ['"plain"', 'string', 'plain'],
    ['""', 'string', ''],
    ['"é 😀"', 'string', 'é 😀'],
  ])('%s', (text, kind, value) =>
    expect(parseExpression(text)).toEqual({ kind: 'literal', value: { kind, value } }),
  );

  it.each(['undefined', 'Undefined', 'UNDEFINED'])('%s', (text) =>
    expect(parseExpression(text)).toEqual({ kind: 'literal', value: { kind: 'undefined' } }),
  );
});

describe('escapes in strings', () => {
  it.each([
    ['\\"', '"'],
    ['\\\\', '\\'],
    ["\\'", "'"],
    ['\\?', '?'],
    ['\\n', '\n'],
    ['\\t', '\t'],
    ['\\r', '\r'],
    ['\\b', '\b'],
    ['\\f', '\f'],
    ['\\101', 'A'],
    ['\\7', '\u0007'],
    ['\\0', '\u0000'],
    ['\\377', 'ÿ'],
    ['\\1019', 'A9'],
    ['\\477', "'7"],
    ['\\\\n', '\\n'],
    ['\\"\\"', '""'],
  ])('%s', (escape, value) =>
    expect(parseExpression(`"${escape}"`)).toEqual({ kind: 'literal', value: { kind: 'string', value } }),
  );
});

describe('errors name line and column', () => {
  it.each([
    ['', 1, 1],
    ['   ', 1, 4],
    ['1 +', 1, 4],
    ['1 + * 2', 1, 5],
    ['a b', 1, 3],
    ['(a', 1, 3],
    ['a)', 1, 2],
    ['a &&\n  && b', 2, 3],
    ['a ==\r\n\r\n @', 3, 2],
    ['"open', 1, 1],
    ['a == "open\n"', 1, 6],
    ['"ends with \\', 1, 12],
    ['"\\q"', 1, 2],
    ['"\\8"', 1, 2],
    ['a = b', 1, 3],
    ['a ? b', 1, 6],
    ['a ? b :', 1, 8],
    ['a ?: -1', 1, 6],
    ['f(1,)', 1, 5],
    ['f(1', 1, 4],
    ['{1 2}', 1, 4],
    ['{1,}', 1, 4],
    ['a.', 1, 3],
    ['a.1', 1, 3],
    ['a.true', 1, 3],
    ['my.', 1, 4],
    ['a[', 1, 3],
    ['a[]', 1, 3],
    ['1.', 1, 3],
    ['.5', 1, 1],
    ['10K', 1, 3],
    ['0x10', 1, 2],
    ['1e', 1, 2],
    ['1.5.5', 1, 5],
    ['007', 1, 1],
    ['1e999', 1, 1],
    ['9223372036854775808', 1, 1],
    ['1 - 9223372036854775808', 1, 5],
    ['-9223372036854775809', 1, 2],
    ['99999999999999999999999999', 1, 1],
    ["'a'", 1, 1],
    ['a # b', 1, 3],
    ['a\u0000', 1, 2],
    ['a\u00a0== 1', 1, 2],
    ['[a = 1', 1, 7],
    ['[a 1]', 1, 4],
    ['[a = 1 b = 2]', 1, 8],
    ['[1 = a]', 1, 2],
    ['[error = 1]', 1, 2],
    ['[a = 1;\n A = 2]', 2, 2],
  ])('%j at %i:%i', (text, line, column) => {
    const error = failure(() => parseExpression(text));
    expect(error.code).toBe('CLASSAD_SYNTAX');
    expect(error.message).toMatch(new RegExp(`^ClassAd line ${line}, column ${column}: .{5,120}$`, 'u'));
  });

  it('keeps hostile text out of the message: no control characters, nothing long', () => {
    for (const text of [
      '\u001b[2J',
      `a ${'b'.repeat(200)}`,
      'a \u202e',
      `f(${'9'.repeat(300)}`,
      `a "${'x'.repeat(3000)}"`,
    ]) {
      expect(failure(() => parseExpression(text)).message).toMatch(/^[ -~]{1,120}$/);
    }
  });
});

describe('ads', () => {
  it('keeps the spelling of names and finds them in any case', () => {
    const ad = parseAd('[ Memory = 2048; ; oS = "Linux"; ]');
    expect([...ad.attributes.keys()]).toEqual(['memory', 'os']);
    expect([...ad.attributes.values()].map((attribute) => attribute.name)).toEqual(['Memory', 'oS']);
  });

  it('reads the host ad of the AliEn form', () => {
    const ad = `[ Type = "machine"; Requirements = other.Type == "Job"; CE = "ALICE::VOLUNTEER::COPILOT";
      CloseSE = {"ALICE::NIHAM::FILE"}; Packages = {"VO_ALICE@ROOT::v5-34-30-alice3-5"}; TTL = 43200; Price = 1.00; ]`;
    expect(parseAd(ad).attributes.size).toBe(7);
    expect(evaluated('Requirements', ad, '[ type = "job" ]')).toBe('true');
  });

  it.each(['', 'a = 1', '[a = 1', '[a = 1]]', '[a = 1] x', '{}', '[a = ]', '[= 1]'])('refuses %j', (text) =>
    expect(failure(() => parseAd(text)).code).toBe('CLASSAD_SYNTAX'),
  );
});
