import { describe, expect, it } from 'vitest';
import { definedIds, idsIn, idsInTests, isTest, mapping, unproved } from './requirements.ts';

const defined = definedIds();
const named = idsInTests();
const mapped = Object.entries(mapping());

describe('the requirements of docs/protocol.md', () => {
  it('have one number each, and the numbers of a section have no gap', () => {
    expect(defined.filter((id, index) => defined.indexOf(id) !== index)).toEqual([]);
    const sections = Map.groupBy(defined, (id) => id.charAt(0));
    for (const [letter, ids] of sections)
      expect(ids.toSorted(byNumber)).toEqual(ids.map((_, index) => `${letter}-${index + 1}`));
  });

  it('are proved by a test, or known to be unproved: what is new, and what is proved by now, has to leave the list', () => {
    const proved = new Set([...named.map(({ id }) => id), ...mapped.map(([id]) => id)]);
    expect(unproved()).toEqual(defined.filter((id) => !proved.has(id)));
  });

  it('are what tests name', () => {
    expect(named.filter(({ id }) => !defined.includes(id))).toEqual([]);
  });
});

describe('test/requirements.json', () => {
  it('names requirements that are there', () => {
    expect(mapped.filter(([id]) => !defined.includes(id))).toEqual([]);
  });

  it.each(mapped)('%s is proved by tests that are there', (_id, references) => {
    expect(references.length).toBeGreaterThan(0);
    expect(references.filter((reference) => !isTest(reference))).toEqual([]);
  });
});

describe('the gate', () => {
  const numbered = (letter: string): string => `${letter}-999`;

  it('sees numbers in titles and in comments above tests', () => {
    const text = `// proves: ${numbered('M')}, ${numbered('S')}\nit('does', run);\n  it('holds (${numbered('V')})', run);\n`;
    expect(idsIn('a.ts', text).map(({ id }) => id)).toEqual(['M-999', 'S-999', 'V-999']);
  });

  it('refuses a comment that no test follows', () => {
    expect(() => idsIn('a.ts', `// proves: ${numbered('M')}\n\nit('does', run);`)).toThrow('a.ts:1');
  });

  it.each(['test/unit/docs/requirements.test.ts :: no such title', 'no/such/file.ts :: the gate', ''])(
    'does not take %j for a test',
    (reference) => {
      expect(isTest(reference)).toBe(false);
    },
  );
});

function byNumber(one: string, other: string): number {
  return Number(one.slice(2)) - Number(other.slice(2));
}
