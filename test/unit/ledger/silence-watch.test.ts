import { describe, expect, it } from 'vitest';
import { createSilenceWatch } from '../../../broker/ledger/silence-watch.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

/** The other end is there, is not, or lets the question wait for ever. */
function setUp(probe: () => Promise<unknown>) {
  const clock = createManualClock();
  let deaths = 0;
  let probes = 0;
  const watch = createSilenceWatch({
    clock,
    probe: () => {
      probes += 1;
      return probe();
    },
    onDead: () => {
      deaths += 1;
    },
  });
  return { clock, watch, deaths: () => deaths, probes: () => probes };
}

const there = (): Promise<unknown> => Promise.resolve();
const gone = (): Promise<unknown> => Promise.reject(new Error('no route'));
const silent = (): Promise<unknown> => new Promise(() => undefined);

describe('a connection that owes an answer', () => {
  it.each([
    ['gone', gone, 20_000],
    ['silent', silent, 35_000],
  ])('is given up where the other end is %s', async (_what, probe, afterMs) => {
    const { clock, watch, deaths } = setUp(probe);
    watch.asked();
    await clock.run(afterMs - 1);
    expect(deaths()).toBe(0);
    await clock.run(1);
    await clock.run(1_000_000);
    expect(deaths()).toBe(1);
    watch.stop();
    expect(clock.pending()).toBe(0);
  });

  it('may take as long as it wants where the other end is there, which is asked again and again', async () => {
    const { clock, watch, deaths, probes } = setUp(there);
    watch.asked();
    await clock.run(100_000);
    expect([deaths(), probes()]).toEqual([0, 5]);
    watch.answered();
    expect(clock.pending()).toBe(0);
  });

  it('is not doubted while answers come, nor while nothing is owed', async () => {
    const { clock, watch, probes } = setUp(gone);
    for (let at = 0; at < 10; at++) watch.asked();
    for (let at = 0; at < 10; at++) {
      await clock.run(19_999);
      watch.answered();
    }
    await clock.run(1_000_000);
    expect(probes()).toBe(0);
  });

  it('is kept where the answer comes while the question is out', async () => {
    const { clock, watch, deaths } = setUp(silent);
    watch.asked();
    watch.asked();
    await clock.run(30_000);
    watch.answered();
    await clock.run(5_000);
    expect(deaths()).toBe(0);
    await clock.run(35_000);
    expect(deaths()).toBe(1);
  });
});
