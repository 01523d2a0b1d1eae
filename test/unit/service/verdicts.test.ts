import { beforeEach, describe, expect, it } from 'vitest';
import { createVerdicts, type Said, type Verdicts } from '../../../broker/service/verdicts.ts';
import { verdictOf } from '../../../broker/service/verdict-of.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { cancel, finalised, leasedWorld, mismatch, report, verified } from '../lease-machine/world.ts';

type Reported = ReturnType<typeof leasedWorld>;

const WAIT_MS = 2_000;

let clock: ManualClock;
let verdicts: Verdicts;
let world: Reported;
let answers: Said[];

beforeEach(() => {
  clock = createManualClock();
  verdicts = createVerdicts(clock);
  world = leasedWorld();
  world.do(report('a', 'j1', 1, 2));
  answers = [];
});

/** One who waits; what is heard lands in `answers`. */
function wait(): void {
  void verdicts.settled(world.job('j1'), 1, WAIT_MS).then((said) => answers.push(said));
}

function change(command: Parameters<Reported['do']>[0]): void {
  world.do(command);
  verdicts.changed(world.job('j1'));
}

describe('an answer that waits for its verdict', () => {
  it('comes with the commit, not with the steps before it', async () => {
    wait();
    change(verified('j1', 1));
    await clock.run(100);
    expect(answers).toEqual([]);
    change(finalised('j1', 1));
    await clock.run(0);
    expect(answers).toEqual([{ verdict: 'committed', reason: '' }]);
    expect(clock.pending()).toBe(0);
  });

  it('comes once storage has registered the result, before the row says so', async () => {
    wait();
    change(verified('j1', 1));
    verdicts.registered('j1', 2);
    await clock.run(0);
    expect(answers).toEqual([]);
    verdicts.registered('j1', 1);
    change(finalised('j1', 1));
    await clock.run(0);
    expect(answers).toEqual([{ verdict: 'committed', reason: '' }]);
    expect(clock.pending()).toBe(0);
  });

  it('comes with a refusal and its reason', async () => {
    wait();
    change(mismatch('j1', 1, 'other bytes'));
    await clock.run(0);
    expect(answers).toEqual([{ verdict: 'refused', reason: 'other bytes' }]);
  });

  it('comes without the verdict where that is late, once', async () => {
    wait();
    await clock.run(WAIT_MS - 1);
    expect(answers).toEqual([]);
    await clock.run(1);
    change(verified('j1', 1));
    change(finalised('j1', 1));
    await clock.run(WAIT_MS);
    expect(answers).toEqual([{ verdict: 'verifying', reason: '' }]);
  });

  it('comes at once where the verdict is known', async () => {
    world.do(verified('j1', 1));
    world.do(finalised('j1', 1));
    wait();
    await clock.run(0);
    expect(answers).toEqual([{ verdict: 'committed', reason: '' }]);
  });

  it('comes for both of two that wait for the same, the earlier with what is known', async () => {
    wait();
    wait();
    await clock.run(0);
    expect(answers).toEqual([{ verdict: 'verifying', reason: '' }]);
    change(cancel('j1', 'not wanted'));
    await clock.run(0);
    expect(answers.at(-1)).toEqual({ verdict: 'refused', reason: 'cancelled: not wanted' });
  });

  it('does not wait for a broker that stops', async () => {
    wait();
    verdicts.stop();
    await clock.run(0);
    expect([answers, clock.pending()]).toEqual([[{ verdict: 'verifying', reason: '' }], 0]);
  });

  it('takes no notice of other jobs and attempts', async () => {
    wait();
    const other = world.job('j1');
    verdicts.changed({ ...other, id: 'j2', attempts: [{ ...other.attempts[0]!, state: 'committed' }] });
    verdicts.changed({ ...other, attempts: [{ ...other.attempts[0]!, number: 2, state: 'committed' }] });
    await clock.run(0);
    expect(answers).toEqual([]);
    verdicts.stop();
  });
});

describe('how far a report is', () => {
  it.each([
    ['live', 'verifying', ''],
    ['reported', 'verifying', ''],
    ['waiting', 'waiting', ''],
    ['committing', 'verifying', ''],
    ['committed', 'committed', ''],
    ['void', 'refused', 'why'],
  ] as const)('an attempt that is %s: %s', (state, verdict, reason) => {
    const row = world.job('j1');
    const job = { ...row, attempts: [{ ...row.attempts[0]!, state, reason: 'why' }] };
    expect(verdictOf(job, 1)).toEqual({ verdict, reason });
  });

  it('an attempt that nobody knows is refused', () => {
    expect(verdictOf(world.job('j1'), 7)).toMatchObject({ verdict: 'refused' });
    expect(verdictOf(undefined, 1)).toMatchObject({ verdict: 'refused' });
  });
});
