import { describe, expect, it } from 'vitest';
import { FRAMEWORK_CASES, playCase } from '../../conformance/framework-adapter.ts';
import { GIVEN_ONCE, openPandaFixture } from './panda-fixture.ts';

describe('framework adapter contract: PanDA', () => {
  const cases = FRAMEWORK_CASES.filter(({ title }) => !GIVEN_ONCE.includes(title));

  it('leaves out no more cases than a server that gives each job once makes it', () => {
    expect(FRAMEWORK_CASES.length - cases.length).toBe(GIVEN_ONCE.length);
  });

  it.each(cases.map((one) => [one.title, one] as const))('%s', async (_title, one) => {
    await playCase(one, (opening) => openPandaFixture(opening));
  });
});
