import { expect, it } from 'vitest';
import { explain } from '../../../cli/why/explain.ts';

const refused = {
  adapter: 'panda',
  job: 'a'.repeat(26),
  ref: '4001',
  reason: 'outFiles names a path',
  atMs: 1_000,
};

it('tells of a job that the adapter of its framework refused, also while the broker is away', () => {
  expect(explain({ job: '4001', local: null, broker: null, refused, nowMs: 31_000 })).toMatchObject({
    cause: 'framework-job-refused',
    sentence: 'The adapter panda refused the job 4001 of its framework: outFiles names a path.',
    evidence: [expect.stringContaining('refused 30 s ago'), ...[]],
    next: expect.stringContaining('submit it there again'),
  });
});

it('says that nobody knows the job where no adapter refused it', () => {
  const known = { job: '4001', local: null, broker: null, refused: null, nowMs: 0 };
  expect(explain(known).cause).toBe('broker-away');
});
