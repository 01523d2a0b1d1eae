import { expect } from 'vitest';
import { orPending } from './or-pending.ts';
import type { FrameworkCase } from './case.ts';

/** How jobs come: none above what was asked for, none lost, none twice. */
export const FETCH_CASES: readonly FrameworkCase[] = [
  {
    title: 'hands over what the framework has, each job once',
    async play({ fixture, broker }) {
      const refs = await fixture.submit(5);
      const first = await broker.fetch(3);
      const second = await broker.fetch(
        9,
        first.map(({ job }) => job),
      );
      expect([...first, ...second].map(({ ref }) => ref).toSorted()).toEqual([...refs].toSorted());
      expect(new Set([...first, ...second].map(({ job }) => job)).size).toBe(5);
      expect(
        await broker.fetch(
          9,
          second.map(({ job }) => job),
        ),
      ).toEqual([]);
    },
  },
  {
    title: 'takes no more from the framework than were asked for, asked again or not',
    async play({ fixture, broker }) {
      await fixture.submit(20);
      const first = await broker.fetch(4);
      expect(first).toHaveLength(4);
      expect(await fixture.taken()).toBe(4);
      expect(await broker.fetch(4)).toEqual([]);
      expect(await fixture.taken()).toBe(4);
      await broker.fetch(
        2,
        first.map(({ job }) => job),
      );
      expect(await fixture.taken()).toBe(6);
    },
  },
  {
    title: 'takes no more than were asked for when two ask at once',
    async play({ fixture, broker }) {
      await fixture.submit(20);
      await Promise.all([broker.fetch(4), broker.fetch(4)]);
      expect(await fixture.taken()).toBe(4);
    },
  },
  {
    title: 'says that there are more while the framework gives all that is asked for',
    async play({ fixture, broker }) {
      await fixture.submit(3);
      expect(await broker.fetchMore(2)).toBe(true);
    },
  },
  {
    title: 'has no more unfinished than its ceiling, and goes on when one ended',
    opening: { jobs: 3 },
    async play({ fixture, broker }) {
      await fixture.submit(6);
      const jobs = await broker.fetch(9);
      expect(jobs).toHaveLength(3);
      await broker.fetch(
        9,
        jobs.map(({ job }) => job),
      );
      expect(await fixture.taken()).toBe(3);
      await broker.started(jobs[0]!, 1);
      broker.heard();
      expect(await broker.finished(jobs[0]!, 1)).toBe('ok');
      // Nobody has to wait for the next look to hear that there is room.
      const { queue } = fixture;
      expect(broker.heard()).toContainEqual({ kind: 'available', queue, count: expect.any(Number) });
      expect(await broker.fetch(9)).toHaveLength(1);
      expect(await fixture.taken()).toBe(3);
    },
  },
  {
    title: 'counts what a broker has against its ceiling after a restart too, before the broker speaks of it',
    opening: { jobs: 3 },
    async play({ fixture, broker }) {
      await fixture.submit(6);
      const jobs = await broker.fetch(9);
      await broker.fetch(
        9,
        jobs.map(({ job }) => job),
      );
      for (const job of jobs) await broker.started(job, 1);
      await fixture.reopen();
      await broker.fetch(9);
      expect(await fixture.taken()).toBe(3);
      expect(await broker.finished(jobs[0]!, 1)).toBe('ok');
      await broker.fetch(9);
      expect(await fixture.taken()).toBe(3);
    },
  },
  {
    title: 'hands over again after 10 s what nobody accepted, and not sooner',
    async play({ fixture, broker }) {
      await fixture.submit(1);
      const [first] = await broker.fetch(5);
      await fixture.advance(9_000);
      expect(await broker.fetch(5)).toEqual([]);
      await fixture.advance(2_000);
      const [again] = await broker.fetch(5);
      expect(again?.job).toBe(first?.job);
      await fixture.advance(20_000);
      expect(await broker.fetch(5, [first!.job])).toEqual([]);
    },
  },
  {
    title: 'hands the same job over again at once after a restart that came before it was accepted',
    async play({ fixture, broker }) {
      await fixture.submit(2);
      const before = await broker.fetch(2);
      await fixture.reopen();
      const after = await broker.fetch(2);
      expect(after.map(({ job }) => job).toSorted()).toEqual(before.map(({ job }) => job).toSorted());
      expect(await fixture.taken()).toBe(2);
    },
  },
  {
    title: 'loses no job and takes none twice where the answer of the framework was lost',
    needs: ['lost'],
    async play({ fixture, broker }) {
      const refs = await fixture.submit(6);
      fixture.inject('lost', 'take', 1);
      expect(await broker.fetch(3)).toEqual([]);
      const jobs = await broker.fetch(3);
      expect(jobs).toHaveLength(3);
      expect(await fixture.taken()).toBe(3);
      expect(refs).toEqual(expect.arrayContaining(jobs.map(({ ref }) => ref)));
    },
  },
  ...(['down', 'half', 'html', 'lie', 'twice', 'shuffled', 'busy'] as const).map(
    (fault): FrameworkCase => ({
      title: `gets every job, each once, though a call that takes jobs went wrong: ${fault}`,
      needs: [fault],
      async play({ fixture, broker }) {
        const refs = await fixture.submit(6);
        fixture.inject(fault, 'take', 2);
        const got = new Map<string, string>();
        for (let turn = 0; turn < 8; turn++) {
          const jobs = await broker.fetch(3, [...got.keys()]);
          for (const { job, ref } of jobs) got.set(job, ref);
          await fixture.advance(31_000);
        }
        expect([...got.values()].toSorted()).toEqual([...refs].toSorted());
      },
    }),
  ),
  {
    title: 'gives up a call that hangs, and gets its jobs afterwards',
    needs: ['hang'],
    async play({ fixture, broker }) {
      await fixture.submit(2);
      fixture.inject('hang', 'take', 1);
      const hanging = broker.fetch(2);
      await fixture.advance(180_000);
      expect(await orPending(hanging)).toEqual([]);
      expect(await broker.fetch(2)).toHaveLength(2);
    },
  },
  {
    title: 'waits for a slow framework, and takes nothing twice meanwhile',
    async play({ fixture, broker }) {
      await fixture.submit(4);
      fixture.slow(5_000);
      const asked = broker.fetch(4);
      await fixture.advance(30_000);
      expect(await asked).toHaveLength(4);
      fixture.heal();
      expect(await fixture.taken()).toBe(4);
    },
  },
  {
    title: 'says unasked that jobs wait, and says it again',
    async play({ fixture, broker }) {
      await broker.fetch(1);
      await fixture.submit(3);
      await fixture.advance(120_000);
      const available = broker.heard().filter(({ kind }) => kind === 'available');
      expect(available).toContainEqual({
        kind: 'available',
        queue: fixture.queue,
        count: expect.any(Number),
      });
      await fixture.advance(120_000);
      expect(broker.heard().filter(({ kind }) => kind === 'available')).not.toEqual([]);
    },
  },
  {
    title: 'gives a payload that fails as many attempts as were set, and one where nothing is said',
    async play({ fixture, broker }) {
      await fixture.submit(1);
      expect((await broker.fetch(1))[0]?.retries).toBe(0);
    },
  },
  {
    title: 'gives a payload that fails three attempts where three were set',
    opening: { attempts: 3 },
    async play({ fixture, broker }) {
      await fixture.submit(1);
      expect((await broker.fetch(1))[0]?.retries).toBe(2);
    },
  },
];
