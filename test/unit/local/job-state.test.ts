import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as states from '../../../adapters/jobs/local/job-state.core.ts';

type Step = (job: states.JobProgress) => states.JobProgress;

const attempt = fc.integer({ min: 1, max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>(states.accept),
  fc.constant<Step>(states.cancel),
  attempt.map(
    (number): Step =>
      (job) =>
        states.start(job, number, `agent-${number}`),
  ),
  fc.tuple(attempt, fc.double({ min: 0, max: 1, noNaN: true })).map(
    ([number, progress]): Step =>
      (job) =>
        states.renew(job, number, progress),
  ),
  attempt.map(
    (number): Step =>
      (job) =>
        states.release(job, number, 'lost'),
  ),
  attempt.map(
    (number): Step =>
      (job) =>
        states.finish(job, number).job,
  ),
  fc.constantFrom('failed', 'cancelled').map(
    (outcome): Step =>
      (job) =>
        states.fail(job, outcome, 'why'),
  ),
);

const run = (steps: readonly Step[]): states.JobProgress =>
  steps.reduce((job, next) => next(job), states.newProgress);

describe('where a job of the local queue stands', () => {
  it('never leaves a final state, whatever comes in whatever order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), step, (steps, late) => {
        const job = run(steps);
        fc.pre(states.isFinal(job));
        expect(late(job)).toBe(job);
      }),
    );
  });

  it('lets attempt numbers only rise until the job ends, and no ended attempt runs', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), step, (steps, next) => {
        const before = run(steps);
        const after = next(before);
        if (!states.isFinal(after)) expect(after.attempt).toBeGreaterThanOrEqual(before.attempt);
        expect(after.ended).toBeGreaterThanOrEqual(before.ended);
        if (after.state === 'running') expect(after.attempt).toBeGreaterThan(after.ended);
      }),
    );
  });

  it('takes the result of whatever attempt the broker committed, also of an older one beside a newer', () => {
    const job = states.start(states.start(states.newProgress, 1, 'a'), 2, 'b');
    expect(states.finish(job, 1)).toMatchObject({ answer: 'ok', job: { state: 'finished', attempt: 1 } });
  });

  it('takes every message twice as once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), step, (steps, next) => {
        const once = next(run(steps));
        expect(next(once)).toEqual(once);
      }),
    );
  });

  it('bounds the reason it keeps', () => {
    const job = states.release(states.newProgress, 1, 'x'.repeat(100_000));
    expect(job.reason).toHaveLength(states.MAX_REASON);
  });
});
