import { describe, expect, it } from 'vitest';
import { FRAMEWORK_CASES } from '../../conformance/framework-adapter.ts';
import { verdictOn } from './bug-verdict.ts';
import { PLANTED_BUGS } from './planted-bugs.ts';

/** One of each kind; test/long has all of them. */
const HERE = [
  'takes twice what was asked for',
  'says yes before the queue did',
  'writes what it sends to its log',
];

describe('the suite for adapters of frameworks', () => {
  it('is held against at least 25 wrong adapters, each with a case that is there', () => {
    expect(PLANTED_BUGS.length).toBeGreaterThanOrEqual(25);
    expect(new Set(PLANTED_BUGS.map(({ name }) => name)).size).toBe(PLANTED_BUGS.length);
    for (const { caughtBy } of PLANTED_BUGS) {
      const named = FRAMEWORK_CASES.filter(({ title }) => title.startsWith(caughtBy));
      expect([caughtBy, named.length]).toEqual([caughtBy, 1]);
    }
  });

  it.each(HERE)('finds one that %s', async (name) => {
    const bug = PLANTED_BUGS.find((one) => one.name === name)!;
    expect(await verdictOn(bug)).toBe('found');
  });
});
