import { describe, it } from 'vitest';
import { FRAMEWORK_CASES, playCase } from '../conformance/framework-adapter.ts';
import { GIVEN_ONCE, openPandaFixture } from '../integration/panda/panda-fixture.ts';

describe('framework adapter contract: PanDA by its legacy API', () => {
  const cases = FRAMEWORK_CASES.filter(({ title }) => !GIVEN_ONCE.includes(title));

  it.each(cases.map((one) => [one.title, one] as const))('%s', async (_title, one) => {
    await playCase(one, (opening) => openPandaFixture(opening, 'legacy'));
  });
});
