import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { shellWords } from '../../../adapters/jobs/panda/shell-words.ts';

describe('the words of jobPars', () => {
  it.each([
    ['', []],
    ['  --n 1\t--x=2 ', ['--n', '1', '--x=2']],
    [`--text 'a "b" $c' "d 'e'"`, ['--text', 'a "b" $c', "d 'e'"]],
    [String.raw`a\ b \; "q\"\\\$\n"`, ['a b', ';', String.raw`q"\$\n`]],
    [`''`, ['']],
    [`a''b"" c`, ['ab', 'c']],
    ['*.root {a,b} ~ x#y !z [0-9]?', ['*.root', '{a,b}', '~', 'x#y', '!z', '[0-9]?']],
    ['a\\\nb "c\\\nd"', ['ab', 'cd']],
  ])('of %j are %j', (text, words) => {
    expect(shellWords(text)).toEqual({ kind: 'words', words });
  });

  it.each([
    ['--n 1; rm -rf /', ';', 5],
    ['a & b', '&', 2],
    ['a | b', '|', 2],
    ['a > b', '>', 2],
    ['a < b', '<', 2],
    ['$(reboot)', '$', 0],
    ['`reboot`', '`', 0],
    ['"$HOME"', '$', 1],
    ['"`id`"', '`', 1],
    ['(a)', '(', 0],
    ['a\nb', 'a line break', 1],
    ['a #b', '#', 2],
    ["'a", "a ' without an end", 0],
    ['x "a', 'a " without an end', 2],
    ['a\\', String.raw`a \ at the end`, 1],
    ['a\0b', 'a zero byte', 1],
  ])('of %j are refused for %j at %d', (text, what, at) => {
    expect(shellWords(text)).toEqual({ kind: 'refused', what, at });
  });

  it('are those that a real shell makes of any text without expansions', () => {
    const piece = fc.stringMatching(/^[a-z0-9 '"\\=,.:/+-]{0,12}$/u);
    const texts = fc.sample(piece, 60).filter((text) => shellWords(text).kind === 'words');
    const script = texts.map((text) => `printf '%s\\001' ${text} END; printf '\\002'`).join('\n');
    const said = execFileSync('/bin/sh', ['-c', script]).toString().split('\u0002').slice(0, -1);
    const ours = texts.map((text) => {
      const read = shellWords(text);
      return read.kind === 'words' ? [...read.words, 'END', ''].join('\u0001') : '';
    });
    expect(texts.length).toBeGreaterThan(20);
    expect(said).toEqual(ours);
  });
});
