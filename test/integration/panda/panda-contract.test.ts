import { describe, expect, it } from 'vitest';
import { FRAMEWORK_CASES, playCase } from '../../conformance/framework-adapter.ts';
import { openPandaFixture } from './panda-fixture.ts';

/**
 * PanDA gives a job once, and lists to nobody what it gave: where the answer is lost, the job comes back when the watcher has missed it
 * for half an hour (panda-faults.test.ts has that).
 */
const GIVEN_ONCE: readonly string[] = [
  'loses no job and takes none twice where the answer of the framework was lost',
  'gets every job, each once, though a call that takes jobs went wrong: half',
  'gets every job, each once, though a call that takes jobs went wrong: twice',
  'gives up a call that hangs, and gets its jobs afterwards',
];

describe('framework adapter contract: PanDA', () => {
  const cases = FRAMEWORK_CASES.filter(({ title }) => !GIVEN_ONCE.includes(title));

  it('leaves out no more cases than a server that gives each job once makes it', () => {
    expect(FRAMEWORK_CASES.length - cases.length).toBe(GIVEN_ONCE.length);
  });

  it.each(cases.map((one) => [one.title, one] as const))('%s', async (_title, one) => {
    await playCase(one, openPandaFixture);
  });
});
