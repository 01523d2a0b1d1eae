import { describe, it } from 'vitest';
import { playCase } from '../conformance/framework-adapter.ts';
import { openPandaFixture, PANDA_CASES } from '../integration/panda/panda-fixture.ts';

describe.each(['v1', 'legacy'] as const)('framework adapter contract: PanDA by its API %s', (api) => {
  it.each(PANDA_CASES.map((one) => [one.title, one] as const))('%s', async (_title, one) => {
    await playCase(one, (opening) => openPandaFixture(opening, api));
  });
});
