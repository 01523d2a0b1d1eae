import { describe, expect, it } from 'vitest';
import { sharedRun } from '../../../adapters/jobs/kit/shared-run.ts';

describe('a run that is shared', () => {
  it('begins after the calls that share it, and never beside another', async () => {
    const ends: PromiseWithResolvers<undefined>[] = [];
    const run = sharedRun(async () => {
      const end = Promise.withResolvers<undefined>();
      ends.push(end);
      await end.promise;
    });
    const first = [run(), run()];
    await new Promise(setImmediate);
    const second = [run(), run()];
    await new Promise(setImmediate);
    expect(ends).toHaveLength(1);
    ends[0]?.resolve(undefined);
    await Promise.all(first);
    await new Promise(setImmediate);
    expect(ends).toHaveLength(2);
    ends[1]?.resolve(undefined);
    await Promise.all(second);
  });

  it('rejects for all who share it, and for nobody after them', async () => {
    let runs = 0;
    const run = sharedRun(async () => {
      if (++runs === 1) throw new Error('no disk');
    });
    const [one, other] = await Promise.allSettled([run(), run()]);
    expect([one.status, other.status]).toEqual(['rejected', 'rejected']);
    await run();
    expect(runs).toBe(2);
  });
});
