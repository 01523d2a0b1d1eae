import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  defaultOutput,
  jdlFiles,
  jdlInteger,
  jdlList,
  jdlMegabytes,
  jdlSeconds,
  jdlText,
  jdlValue,
  parseEscapedJdl,
  parseJdl,
  parseOutputEntry,
  storageSpec,
  writeJdl,
} from '../../../protocol/jdl/index.ts';

const corpus = (name: string) => readFileSync(new URL(`corpus/${name}.jdl`, import.meta.url), 'utf8');
const refused = expect.objectContaining({ code: 'JDL_SYNTAX' });

describe('the shapes that descriptions have', () => {
  it('reads one in which everything is a list', () => {
    const jdl = parseJdl(corpus('lists'));
    expect(jdlText(jdl, 'executable')).toBe('/alice/cern.ch/user/a/someone/bin/rec.sh');
    expect(jdlFiles(jdl, 'InputDataCollection')).toEqual([
      { lfn: '/alice/cern.ch/user/a/someone/run/236821.xml', isDownloaded: false },
    ]);
    expect(jdlText(jdl, 'OutputDir')).toContain('#alien_counter_03i#');
    expect(jdlList(jdl, 'packages')).toEqual([
      'VO_ALICE@AliPhysics::vAN-20170813-1',
      'VO_ALICE@ROOT::v5-34-30-alice3-5',
    ]);
    expect(jdlSeconds(jdl, 'ttl')).toBe(30_000);
    expect(jdlMegabytes(jdl, 'WorkDirectorySize')).toBe(10_000);
    expect(jdlInteger(jdl, 'SplitMaxInputFileNumber')).toBe(2);
    expect(jdlText(jdl, 'ValidationCommand')).toBe('/alice/cern.ch/user/a/someone/bin/validate.sh');
  });

  it('reads one with parameters, numbers in quotes and no semicolon at its end', () => {
    const jdl = parseJdl(corpus('summary'));
    expect(jdlList(jdl, 'Arguments')).toEqual(['$1']);
    expect(jdlFiles(jdl, 'InputFile').map(({ lfn }) => lfn)).toEqual([
      '/alice/cern.ch/user/t/someone/summary/summary.C',
      '/alice/cern.ch/user/t/someone/summary/list.txt',
    ]);
    expect(jdlSeconds(jdl, 'TTL')).toBe(7200);
    expect(jdlValue(jdl, 'price')).toEqual({ kind: 'integer', value: 1n });
    expect(parseOutputEntry(jdlList(jdl, 'OutputArchive')[0]!)).toMatchObject({
      kind: 'archive',
      name: 'log_archive',
      patterns: ['*.log'],
      options: { copies: { disk: 1 } },
    });
  });

  it('reads one in brackets, with an expression and words for a time', () => {
    const jdl = parseJdl(corpus('hours'));
    expect(jdlSeconds(jdl, 'TTL')).toBe(64_800);
    expect(jdlValue(jdl, 'Requirements')).toMatchObject({
      kind: 'expression',
      text: expect.stringMatching(/^\( other\.Type.*64800 \)$/),
    });
    expect(jdlList(jdl, 'JobTag')).toEqual(['comment: pi0; calibration']);
    const [logs, roots] = jdlList(jdl, 'OutputArchive').map(parseOutputEntry);
    expect(storageSpec(logs!.options)).toBe('ALICE::NIHAM::FILE,disk:1');
    expect(roots).toMatchObject({ patterns: ['*.root', 'a.txt'], options: { hasLinks: false } });
    expect(storageSpec(roots!.options)).toBe('!ALICE::X::Y,tape:1');
  });

  it('reads that of the containers, and knows what is stored where nothing is said', () => {
    const jdl = parseJdl(corpus('container'));
    expect(parseOutputEntry(jdlList(jdl, 'Output')[0]!)).toMatchObject({
      kind: 'files',
      patterns: ['stdout'],
    });
    expect(jdlInteger(jdl, 'CPUCores')).toBe(1);
    expect(defaultOutput('77')).toMatchObject({
      kind: 'archive',
      name: 'jalien_defarchNOSPEC.77',
      patterns: ['stdout', 'stderr', 'resources'],
    });
    expect(storageSpec(defaultOutput('77').options)).toBe('disk:2');
  });

  it.each(['lists', 'summary', 'hours', 'container'])('writes %s so that it reads the same', (name) => {
    const jdl = parseJdl(corpus(name));
    expect(parseJdl(writeJdl(jdl))).toEqual(jdl);
  });

  it('reads what passed through XML once, or twice', () => {
    const escape = (text: string): string =>
      text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
    for (const name of ['lists', 'summary', 'hours', 'container']) {
      const plain = parseJdl(corpus(name));
      expect(parseEscapedJdl(escape(corpus(name)))).toEqual(plain);
      expect(parseEscapedJdl(escape(escape(corpus(name))))).toEqual(plain);
      expect(parseEscapedJdl(corpus(name))).toEqual(plain);
    }
  });
});

describe('how values are told apart', () => {
  it.each([
    ['A = "x"', { kind: 'text', text: 'x' }],
    ['A = "a" , "b"', { kind: 'text', text: 'a" , "b' }],
    ['A = "say \\"hi\\"; now"', { kind: 'text', text: 'say \\"hi\\"; now' }],
    ['A = a\\;b', { kind: 'expression', text: 'a\\;b' }],
    ['A = 12', { kind: 'integer', value: 12n }],
    ['A = 3141592653', { kind: 'integer', value: 3141592653n }],
    ['A = 99999999999999999999', { kind: 'real', value: 1e20 }],
    ['A = -5', { kind: 'real', value: -5 }],
    ['A = 1.5e3', { kind: 'real', value: 1500 }],
    ['A = 1.2.3', { kind: 'expression', text: '1.2.3' }],
    ['A = e', { kind: 'expression', text: 'e' }],
    ['A =', { kind: 'expression', text: '' }],
    ['A = true', { kind: 'expression', text: 'true' }],
    ['A = {"x", y, "x", "z"}', { kind: 'list', items: ['x', 'z'] }],
    ['A = {}', { kind: 'list', items: [''] }],
    ['A = { x }', { kind: 'list', items: [' x '] }],
    ['A = {"it\'", "x"}', { kind: 'list', items: ['it\'", '] }],
    ['A = { "a;b" }', { kind: 'list', items: ['a;b'] }],
  ])('%s', (text, value) => {
    expect(jdlValue(parseJdl(text), 'a')).toEqual(value);
  });

  it('takes the first of two names that differ in case, and the last of two that do not', () => {
    expect(jdlText(parseJdl('A = "1"; a = "2"; A = "3"'), 'a')).toBe('3');
  });

  it('passes over what follows the last value', () => {
    expect(parseJdl('A = 1; and so on')).toEqual([{ name: 'A', value: { kind: 'integer', value: 1n } }]);
  });
});

describe('what is no description', () => {
  it.each([
    ['an open quote', 'A = "x; B = 2;', /unfinished quotes in the value of \\?"A/],
    ['an open quote at the end', 'A = 1; B = "', /unfinished quotes in the value of \\?"B/],
    ['an escape at the end', 'A = x\\', /unfinished escape/],
    ['text after a quote', 'A = "x" y;', /do not close/],
    ['an open brace', 'A = {"x";', /braces of \\?"A/],
    ['a brace that a semicolon ends', 'A = {x; y};', /braces/],
    ['a name with a space', 'A B = 1;', /cannot be the name/],
    ['a remark that does not begin its line', 'A = "x"; # B = 1', /cannot be the name/],
    ['no name', 'A = 1;  = 2;', /without a name/],
    ['nothing', ' \n # only a remark\n', /empty/],
    ['no attribute', 'just words', /no attribute/],
    ['XML that is none', '&lt;a&gt;', /no attribute/],
    ['more than is read', `A = "${'x'.repeat(1024 * 1024)}";`, /longer than/],
    [
      'more attributes than are read',
      Array.from({ length: 1025 }, (_, at) => `a${at} = 1;`).join(''),
      /more than 1024/,
    ],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseJdl(text)).toThrow(refused);
    expect(() => parseEscapedJdl(text)).toThrow(message);
  });

  it('takes time in proportion to the length, whatever is in it', () => {
    const begin = performance.now();
    for (const piece of ['\\', '"', '{', '\'"', '=', '&amp;', '#\n', ';'])
      expect(() => parseEscapedJdl(`A = ${piece.repeat(200_000)}`)).not.toThrow(RangeError);
    expect(performance.now() - begin).toBeLessThan(5_000);
  });

  it.each(['', ',', 'a.zip:', ':a', 'a@what', 'a@disk=', 'a@ALICE::x'])('refuses the output %j', (entry) => {
    expect(() => parseOutputEntry(entry)).toThrow(refused);
  });
});

describe('the writer', () => {
  it('puts one attribute a line and one item a line', () => {
    const text = writeJdl([
      { name: 'Executable', value: { kind: 'text', text: '/bin/x' } },
      { name: 'Packages', value: { kind: 'list', items: ['a', 'b'] } },
      { name: 'TTL', value: { kind: 'integer', value: 5n } },
    ]);
    expect(text).toBe('[\n Executable = "/bin/x";\n Packages = {\n  "a",\n  "b"\n };\n TTL = 5;\n]');
  });

  it.each([
    ['a quote', { kind: 'text', text: 'a"; Executable = "b' }],
    ['a line break', { kind: 'text', text: 'a\n#b' }],
    ['a backslash that escapes the quote', { kind: 'text', text: 'a\\' }],
    ['an item that does not close', { kind: 'list', items: ["a'", 'b'] }],
    ['an item twice', { kind: 'list', items: ['a', 'a'] }],
    ['a second attribute', { kind: 'expression', text: '1; User = "root"' }],
    ['an expression that is a text', { kind: 'expression', text: '"x"' }],
    ['not a number', { kind: 'real', value: Number.NaN }],
  ] as const)('refuses %s', (_, value) => {
    expect(() => writeJdl([{ name: 'A', value }])).toThrow(refused);
  });

  it('refuses a name that is none', () => {
    expect(() => writeJdl([{ name: 'A = 1; B', value: { kind: 'integer', value: 1n } }])).toThrow(refused);
  });
});

describe('quantities', () => {
  const one = (value: string) => parseJdl(`Q = ${value};`);
  it.each([
    ['"18 hours"', 64_800],
    ['"2h"', 7200],
    ['"30 min"', 1800],
    ['"1.5 days"', 129_600],
    ['90', 90],
    ['{"90"}', 90],
    ['90.7', 90],
    ['"soon"', undefined],
    ['"5 fortnights"', undefined],
  ])('%s is %s seconds', (text, seconds) => expect(jdlSeconds(one(text), 'Q')).toBe(seconds));
  it.each([
    ['"8GB"', 8192],
    ['"10000MB"', 10_000],
    ['"512 K"', 1],
    ['2000', 2000],
    ['"1.5 GiB"', 1536],
    ['"big"', undefined],
  ])('%s is %s megabytes', (text, megabytes) => expect(jdlMegabytes(one(text), 'Q')).toBe(megabytes));
});
