import { describe, expect, it } from 'vitest';
import { firstCells, page } from './pages.ts';

const declared = [...page('protocol/errors.ts').matchAll(/^ {2}\| '([A-Z0-9_]+)'/gm)].map(
  ([, code]) => code ?? '',
);
const described = firstCells(page('docs/errors.md')).filter((cell) => cell !== 'Code');

describe('docs/errors.md', () => {
  it('has a row for every code, and for no other', () => {
    expect(described.toSorted()).toEqual(declared.toSorted());
  });

  it('has one row for each', () => {
    expect(described).toEqual([...new Set(described)]);
  });

  it('says meaning, reader and next step in every row', () => {
    const rows = page('docs/errors.md')
      .split('\n')
      .filter((line) => /^\| `[A-Z]/.test(line));
    const cells = rows.map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
    expect(cells.filter((row) => row.length !== 4 || row.includes(''))).toEqual([]);
    expect(rows).toHaveLength(described.length);
  });
});
