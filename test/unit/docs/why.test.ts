import { describe, expect, it } from 'vitest';
import { CAUSES } from '../../../cli/why/causes.ts';
import { firstCells, page } from './pages.ts';

describe('docs/why.md', () => {
  it('has one row for every cause, and for no other', () => {
    const described = firstCells(page('docs/why.md')).filter((cell) => cell !== 'Cause');
    expect(described.toSorted()).toEqual(Object.keys(CAUSES).toSorted());
  });
});
