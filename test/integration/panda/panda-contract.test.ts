import { describe, expect, it } from 'vitest';
import { FRAMEWORK_CASES, playCase } from '../../conformance/framework-adapter.ts';
import { openPandaFixture, PANDA_CASES } from './panda-fixture.ts';

/** Cases in which hours go by, heartbeat after heartbeat; test/long/panda-contract.test.ts plays them too, and by both APIs. */
const LONG = /for much longer than|what it did not see begin|wall clock that jumps|old news that come late/u;

describe('framework adapter contract: PanDA', () => {
  it('leaves out no more cases than a server that gives each job once makes it', () => {
    expect(FRAMEWORK_CASES.length - PANDA_CASES.length).toBe(4);
  });

  it.each(PANDA_CASES.filter(({ title }) => !LONG.test(title)).map((one) => [one.title, one] as const))(
    '%s',
    async (_title, one) => {
      await playCase(one, (opening) => openPandaFixture(opening));
    },
  );
});
