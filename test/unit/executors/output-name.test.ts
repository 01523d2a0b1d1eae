import fc from 'fast-check';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { outputNameParts } from '../../../agent/executors/output-name.ts';

describe('the name of an output', () => {
  it('names a file below the directory', () => {
    expect(outputNameParts('events.root')).toEqual(['events.root']);
    expect(outputNameParts('a/b c/…é')).toEqual(['a', 'b c', '…é']);
    expect(outputNameParts('.hidden/..x')).toEqual(['.hidden', '..x']);
  });

  it.each([
    ['a'.repeat(256), 'a long component'],
    ['é'.repeat(128), 'a component of many bytes'],
    [Array<string>(17).fill('a').join('/'), 'many components'],
    [Array<string>(5).fill('a'.repeat(250)).join('/'), 'a long name'],
    ['\ud800', 'half a character'],
    ['a\u0085b', 'a control character'],
  ])('is refused: %#', (name) => {
    expect(outputNameParts(name)).toBeUndefined();
  });

  it('never leads outside, whatever it is', () => {
    const piece = fc.oneof(
      fc.constantFrom('..', '.', '/', '//', '\\', 'a', '~', '\0'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const parts = outputNameParts(pieces.join(''));
        if (parts === undefined) return;
        const path = posix.join('/jobs/1', ...parts);
        expect(path.startsWith('/jobs/1/')).toBe(true);
        expect(path.slice('/jobs/1/'.length)).toBe(parts.join('/'));
      }),
    );
  });
});
