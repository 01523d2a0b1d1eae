import { expect } from 'vitest';
import type { RefusedJob } from '../../../adapters/jobs/kit/refused-jobs.ts';
import type { FrameworkCase } from './case.ts';

/** What the framework is not trusted with, and what of the credential nobody sees. */
export const TRUST_CASES: readonly FrameworkCase[] = [
  {
    title:
      'refuses every hostile or broken description to the framework with a reason, and loses none beside it',
    async play({ fixture, broker }) {
      const bad = new Map<string, string>();
      for (const which of fixture.hostile) bad.set(which, await fixture.submitHostile(which));
      const good = await fixture.submit(2);
      const got: string[] = [];
      for (let turn = 0; turn < 6 && got.length < good.length; turn++) {
        const jobs = await broker.fetch(64);
        got.push(...jobs.map(({ ref }) => ref));
        await broker.fetch(
          1,
          jobs.map(({ job }) => job),
        );
        await fixture.advance(31_000);
      }
      expect(fixture.hostile.length).toBeGreaterThan(0);
      expect(got.toSorted()).toEqual([...good].toSorted());
      for (const [which, ref] of bad) {
        expect([which, await fixture.state(ref)]).toEqual([which, 'failed']);
        expect([which, await fixture.reason(ref)]).toEqual([which, expect.stringMatching(/\S{3}/)]);
        const noted = (await fixture.refused()).find((refused) => isAbout(refused, ref));
        expect([which, noted?.reason]).toEqual([which, expect.stringMatching(/\S{3}/)]);
      }
    },
  },
  {
    title: 'refuses a job above its ceiling to the framework, and says what it wants and what there is',
    async play({ fixture, broker }) {
      const ref = await fixture.submitHuge();
      expect(await broker.fetch(4)).toEqual([]);
      expect(await fixture.state(ref)).toBe('failed');
      expect(await fixture.reason(ref)).toMatch(/at most \d+/);
    },
  },
  {
    title: 'works again when a credential that ended was renewed, without being started again',
    async play({ fixture, broker }) {
      await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      const [other] = await fixture.submit(1);
      await fixture.expireCredential();
      expect(await broker.fetch(1)).toEqual([]);
      expect(await broker.finished(job, 1)).toBe('again');
      expect(await fixture.state(job.ref)).not.toBe('failed');
      await fixture.renewCredential();
      expect(await broker.finished(job, 1)).toBe('ok');
      expect((await broker.fetch(1)).map(({ ref }) => ref)).toEqual([other]);
    },
  },
  {
    title: 'I10 writes its credential into no log and no message, whatever goes wrong',
    needs: ['down', 'html', 'half', 'lie'],
    async play({ fixture, broker }) {
      await fixture.submit(3);
      const job = await broker.accepted();
      for (const fault of ['down', 'html', 'half', 'lie'] as const) {
        fixture.inject(fault, 'all', 3);
        await broker.started(job, 1);
        await broker.finished(job, 1);
        await broker.fetch(2);
        await fixture.advance(120_000);
        fixture.heal();
      }
      await fixture.expireCredential();
      await broker.finished(job, 1);
      await broker.fetch(2);
      await fixture.advance(120_000);
      expect(fixture.canaries.length).toBeGreaterThan(0);
      const written = fixture.written() + broker.written();
      expect(written.length).toBeGreaterThan(100);
      for (const canary of fixture.canaries) expect(written).not.toContain(canary);
    },
  },
  {
    title: 'leaves no timer when it is stopped, and stops twice',
    async play({ fixture, broker }) {
      await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      expect(fixture.timers()).toBeGreaterThan(0);
      await fixture.adapter.stop();
      await fixture.adapter.stop();
      expect(fixture.timers()).toBe(0);
    },
  },
];

/** A framework may name a job after what it is a part of. */
function isAbout({ ref }: RefusedJob, job: string): boolean {
  return job === ref || job.startsWith(`${ref}/`);
}
