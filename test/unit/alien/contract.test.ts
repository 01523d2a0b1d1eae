import { describe, it } from 'vitest';
import { END_CASES } from '../../conformance/framework/cases-end.ts';
import { frameworkAdapterConformance, playCase } from '../../conformance/framework-adapter.ts';
import { openAlienFixture } from './alien-fixture.ts';

frameworkAdapterConformance('classic AliEn', openAlienFixture);

/** A lost answer cannot be had back where a job is handed out; where one ends it can. */
describe('the end of a job of classic AliEn, with every fault of its wire', () => {
  const cases = END_CASES.filter(({ needs }) =>
    needs?.some((fault) => ['lost', 'twice', 'half', 'hang'].includes(fault)),
  );
  it.each(cases.map((one) => [one.title, one] as const))('%s', async (_title, one) => {
    await playCase(one, async (opening) => {
      const fixture = await openAlienFixture(opening);
      return Object.defineProperty(fixture, 'cannot', { value: {} });
    });
  });
});
