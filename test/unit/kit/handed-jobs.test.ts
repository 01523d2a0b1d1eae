import { beforeEach, describe, expect, it } from 'vitest';
import type { AcceptedJobs } from '../../../adapters/jobs/kit/accepted-jobs.ts';
import { createHandedJobs, type HandedJobs } from '../../../adapters/jobs/kit/handed-jobs.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { jobOf } from './job-of.ts';

describe('jobs that were handed over', () => {
  let clock: ManualClock;
  let handed: HandedJobs;
  let ceiling = Infinity;
  beforeEach(() => {
    clock = createManualClock();
    ceiling = Infinity;
    handed = createHandedJobs({ clock, maxWaiting: 8, maxKnown: 3, maxUnfinished: () => ceiling });
  });
  const refs = (max: number, queue = 'main'): readonly string[] =>
    handed.take(queue, max).jobs.map(({ ref }) => ref);
  const ids = (...names: readonly string[]): readonly string[] => names.map((name) => jobOf(name).job);

  it('are handed over once, and again after 10 s until they are accepted', () => {
    handed.offer('main', [jobOf('one'), jobOf('two')]);
    expect(refs(9)).toEqual(['one', 'two']);
    clock.advance(9_999);
    expect(refs(9)).toEqual([]);
    handed.accept(ids('one'));
    clock.advance(1);
    expect(refs(9)).toEqual(['two']);
    handed.accept(ids('two'));
    clock.advance(60_000);
    expect(refs(9)).toEqual([]);
  });

  it('are due at once where another process handed them over', () => {
    handed.offer('main', [jobOf('one')]);
    expect(refs(9)).toEqual(['one']);
    handed = createHandedJobs({ clock });
    handed.offer('main', [jobOf('one')]);
    expect(refs(9)).toEqual(['one']);
  });

  it('are taken from the framework no more than were asked for, whether or not an answer was lost', () => {
    expect(handed.wanted('main', 4)).toBe(4);
    handed.offer('main', [jobOf('one'), jobOf('two'), jobOf('three')]);
    expect(refs(4)).toHaveLength(3);
    expect(handed.wanted('main', 4)).toBe(1);
    handed.accept(ids('one', 'two', 'three'));
    expect(handed.wanted('main', 4)).toBe(4);
  });

  it('are bounded over all queues, and so is what is asked of the framework', () => {
    const many = Array.from({ length: 12 }, (_, at) => jobOf(`job-${at}`));
    expect(handed.offer('main', many)).toBe(8);
    expect(handed.wanted('other', 5)).toBe(0);
    handed.drop(jobOf('job-0').job);
    expect(handed.wanted('other', 5)).toBe(1);
    expect(handed.offer('other', [jobOf('elsewhere')])).toBe(1);
    expect(refs(9, 'other')).toEqual(['elsewhere']);
  });

  it('say that there are more where one answer does not hold them, and none is lost for it', () => {
    handed.offer(
      'main',
      [1, 2, 3, 4].map((at) => jobOf(`big-${at}`, 10)),
    );
    const first = handed.take('main', 4);
    expect(first.more).toBe(true);
    const rest = handed.take('main', 4);
    expect([...first.jobs, ...rest.jobs].map(({ ref }) => ref)).toEqual(['big-1', 'big-2', 'big-3', 'big-4']);
    expect(rest.more).toBe(false);
  });

  it('are not taken in again once accepted; the oldest acceptance is forgotten first', () => {
    handed.accept(ids('one', 'two', 'three'));
    expect(handed.offer('main', [jobOf('one')])).toBe(0);
    handed.accept(ids('one', 'four'));
    expect([...ids('one', 'two', 'three', 'four')].map((id) => handed.isKnown(id))).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });

  it('count as with us until they ended, and no more are taken than the ceiling leaves', () => {
    ceiling = 3;
    expect(handed.wanted('main', 9)).toBe(3);
    handed.offer('main', [jobOf('one'), jobOf('two')]);
    // Of a restart: the broker speaks of a job that another process handed over.
    handed.accept(ids('before'));
    expect(handed.unfinished()).toBe(3);
    expect(handed.wanted('main', 9)).toBe(0);
    handed.accept(ids('one'));
    for (const id of ids('one', 'before')) handed.end(id);
    expect(handed.unfinished()).toBe(1);
    expect(handed.wanted('main', 9)).toBe(2);
    handed.accept(ids('one'));
    expect(handed.unfinished()).toBe(1);
    expect(handed.offer('main', [jobOf('one')])).toBe(0);
  });

  it('may come again where their framework took them back', () => {
    handed.offer('main', [jobOf('one')]);
    handed.accept(ids('one'));
    handed.drop(jobOf('one').job);
    expect(handed.unfinished()).toBe(0);
    expect(handed.offer('main', [jobOf('one')])).toBe(1);
  });

  it('make known that there is room again when one ends at the ceiling, and not otherwise', () => {
    let rooms = 0;
    handed = createHandedJobs({ clock, maxUnfinished: () => 2, onRoom: () => void rooms++ });
    handed.offer('main', [jobOf('one')]);
    handed.end(ids('one')[0]!);
    expect(rooms).toBe(0);
    handed.offer('main', [jobOf('two'), jobOf('three')]);
    handed.accept(ids('two', 'three'));
    handed.end(ids('two')[0]!);
    handed.end(ids('two')[0]!);
    expect(rooms).toBe(1);
    handed.offer('main', [jobOf('four')]);
    handed.drop(ids('three')[0]!);
    expect(rooms).toBe(2);
  });

  describe('and that a broker had when the process before this one ended', () => {
    /** What is noted of them: the next process has the same. */
    const noted = new Set<string>();
    const accepted: AcceptedJobs = {
      ids: () => [...noted],
      note: (id, isAccepted) => void (isAccepted ? noted.add(id) : noted.delete(id)),
      settled: () => Promise.resolve(),
    };
    const restart = (): void => {
      handed = createHandedJobs({ clock, maxKnown: 3, maxUnfinished: () => ceiling, accepted });
    };
    beforeEach(() => {
      noted.clear();
      ceiling = 3;
      restart();
      handed.offer('main', [jobOf('one'), jobOf('two')]);
      handed.accept(ids('one', 'two'));
      restart();
    });

    it('count against the ceiling before anybody speaks of them, and once when somebody does', () => {
      expect([handed.unfinished(), handed.wanted('main', 9)]).toEqual([2, 1]);
      handed.accept(ids('one'));
      expect(handed.unfinished()).toBe(2);
      handed.end(ids('one')[0]!);
      handed.drop(ids('two')[0]!);
      expect(handed.unfinished()).toBe(0);
      restart();
      expect(handed.unfinished()).toBe(0);
    });

    it('are handed over again where the framework still gives them out: the broker may have lost them', () => {
      expect(handed.isKnown(ids('one')[0]!)).toBe(false);
      expect(handed.offer('main', [jobOf('one'), jobOf('three'), jobOf('four')])).toBe(2);
      expect(refs(9)).toEqual(['one', 'three']);
      expect(handed.unfinished()).toBe(3);
    });

    it('count no more once nobody spoke of them for a day', () => {
      handed.accept(ids('two'));
      clock.advance(86_400_000);
      expect(handed.unfinished()).toBe(1);
      expect([...noted]).toEqual(ids('two'));
    });

    it('are forgotten, the oldest first, beyond as many as are remembered', () => {
      handed.accept(ids('a', 'b', 'c', 'd'));
      restart();
      expect(handed.unfinished()).toBe(noted.size);
      expect(noted.size).toBeLessThanOrEqual(5);
    });
  });
});
