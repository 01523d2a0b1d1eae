import { beforeEach, describe, expect, it } from 'vitest';
import { type Beat, createHeartbeats, type Heartbeats } from '../../../adapters/jobs/kit/heartbeats.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';

describe('heartbeats', () => {
  let clock: ManualClock;
  let told: (readonly Beat[])[];
  let beat: (batch: readonly Beat[]) => Promise<void>;
  let hearts: Heartbeats;
  const tell = async (batch: readonly Beat[]): Promise<void> => void told.push(batch);
  const open = (most?: number): Heartbeats =>
    createHeartbeats({
      clock,
      log: silentLog,
      everyMs: 1_000,
      silentMs: 10_000,
      batch: 2,
      ...(most !== undefined && { most }),
      beat: (batch) => beat(batch),
    });
  beforeEach(() => {
    clock = createManualClock();
    told = [];
    beat = tell;
    hearts = open();
  });
  const alive = (job: string, attempt = 1, progress = 0): void =>
    hearts.alive({ job, attempt, progress, state: `of ${job}` });
  const names = (): readonly (readonly string[])[] =>
    told.map((batch) => batch.map(({ job, attempt }) => `${job}/${attempt}`));

  it('are told at their own pace, in bounded batches, with what the adapter said of the job', async () => {
    for (const job of ['a', 'b', 'c']) alive(job, 1, 0.5);
    await clock.run(999);
    expect(told).toEqual([]);
    await clock.run(1);
    expect(names()).toEqual([['a/1', 'b/1'], ['c/1']]);
    expect(told[1]).toEqual([{ job: 'c', attempt: 1, progress: 0.5, state: 'of c' }]);
    await clock.run(1_000);
    expect(told).toHaveLength(4);
  });

  it('stop for an attempt of which nothing was heard: a lost agent is not kept alive', async () => {
    alive('a');
    await clock.run(10_000);
    alive('b');
    told.length = 0;
    await clock.run(1_000);
    expect(names()).toEqual([['b/1']]);
    expect(hearts.size).toBe(1);
  });

  it('are those of the newest attempt, whatever comes late', async () => {
    alive('a', 2);
    alive('a', 1);
    hearts.ended('a', 1);
    await clock.run(1_000);
    expect(names()).toEqual([['a/2']]);
    hearts.ended('a', 2);
    alive('b', 1);
    hearts.ended('b', 3);
    await clock.run(1_000);
    expect(told).toHaveLength(1);
  });

  it('go on after one that the framework did not take, and the other batches are told all the same', async () => {
    for (const job of ['a', 'b', 'c']) alive(job);
    beat = async (batch) => {
      await tell(batch);
      if (told.length === 1) throw new Error('down');
    };
    await clock.run(1_000);
    expect(names()).toEqual([['a/1', 'b/1'], ['c/1']]);
    await clock.run(1_000);
    expect(told).toHaveLength(4);
  });

  it('do not overlap: a round that takes long puts the next off', async () => {
    alive('a');
    let open: () => void = () => undefined;
    beat = async (batch) => {
      await tell(batch);
      await new Promise<void>((resolve) => (open = resolve));
    };
    await clock.run(5_000);
    expect(told).toHaveLength(1);
    open();
    await clock.run(1);
    expect(told).toHaveLength(2);
    open();
    await hearts.stop();
    expect(clock.pending()).toBe(0);
  });

  it('are bounded: of too many the one heard of longest ago is forgotten', async () => {
    hearts = open(2);
    for (const job of ['a', 'b', 'a', 'c']) alive(job);
    await clock.run(1_000);
    expect(names()).toEqual([['a/1', 'c/1']]);
  });
});
