import { describe, expect, it } from 'vitest';
import { CREDENTIALS, credentialTable, writtenTable } from '../../credentials/write.ts';
import { isTest } from './requirements.ts';

describe('the table of credentials in docs/security.md', () => {
  it('is what test/credentials/credentials.json says (else run node test/credentials/write.ts)', () => {
    expect(writtenTable()).toBe(`\n${credentialTable()}\n\n`);
  });

  it('has a row for each credential once', () => {
    const names = CREDENTIALS.map(({ credential }) => credential);
    expect(names).toEqual([...new Set(names)]);
  });

  it.each(CREDENTIALS)(
    '$credential: what a thief gets is shown by tests that every run has',
    ({ shownBy }) => {
      expect(shownBy.length).toBeGreaterThan(0);
      expect(shownBy.filter((reference) => !isTest(reference))).toEqual([]);
      expect(shownBy.filter((reference) => !/^test\/(?:unit|integration|e2e)\//.test(reference))).toEqual([]);
    },
  );
});
