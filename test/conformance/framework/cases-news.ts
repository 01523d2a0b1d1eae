import { expect } from 'vitest';
import type { NewJob } from '../../../adapters/jobs/job-adapter.ts';
import type { FrameworkCase, FrameworkStage } from './case.ts';

/** Longer than an adapter tells of an attempt of which it heard nothing. */
const LONG_MS = 2 * 3_600_000;

/** What the framework hears while a job runs, and what it wants meanwhile. */
export const NEWS_CASES: readonly FrameworkCase[] = [
  {
    title: 'tells the framework at once that a job runs',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      expect(await broker.started(job, 1)).toBe('ok');
      expect(await fixture.state(ref!)).toBe('running');
    },
  },
  {
    title:
      'keeps a job alive in the framework while its agent renews, for much longer than the framework waits',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      await aliveFor(LONG_MS, { fixture, broker }, job);
      expect(await fixture.state(ref!)).toBe('running');
      expect(await broker.finished(job, 1)).toBe('ok');
    },
  },
  {
    title: 'keeps a job that waits with us for an agent, for much longer than the framework waits',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await fixture.advance(fixture.patienceMs * 3);
      await broker.started(job, 1);
      expect(await broker.finished(job, 1)).toBe('ok');
      expect(await fixture.state(ref!)).toBe('finished');
    },
  },
  {
    title: 'keeps alive after a restart what it did not see begin',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      await fixture.reopen();
      await aliveFor(fixture.patienceMs * 2, { fixture, broker }, job);
      expect(await fixture.state(ref!)).toBe('running');
      expect(await broker.finished(job, 1)).toBe('ok');
    },
  },
  {
    title: 'keeps a job whose attempt was lost, and finishes it with the next attempt',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      expect(await broker.released(job, 1)).toBe('ok');
      expect(['taken', 'running']).toContain(await fixture.state(ref!));
      await fixture.advance(60_000);
      await broker.started(job, 2);
      expect(await fixture.state(ref!)).toBe('running');
      expect(await broker.finished(job, 2)).toBe('ok');
      expect(await fixture.state(ref!)).toBe('finished');
    },
  },
  {
    title: 'is not moved by old news that come late',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 2);
      await broker.released(job, 1);
      await broker.started(job, 1);
      await broker.renewed(job, 1);
      expect(await fixture.state(ref!)).toBe('running');
      await fixture.advance(fixture.patienceMs / 2);
      await broker.renewed(job, 2);
      await fixture.advance(fixture.patienceMs * 0.75);
      expect(await fixture.state(ref!)).toBe('running');
      expect(await broker.finished(job, 2)).toBe('ok');
    },
  },
  {
    title: 'lets nothing run again that has ended, whatever news come late',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      await broker.finished(job, 1);
      broker.heard();
      await broker.started(job, 1);
      await broker.renewed(job, 1);
      await broker.released(job, 1);
      await fixture.advance(300_000);
      expect(await fixture.state(ref!)).toBe('finished');
      expect(broker.heard().filter(({ kind }) => kind === 'kill')).toEqual([]);
    },
  },
  {
    title:
      'takes a success that was none for none: a job that the framework does not hear of is told of again',
    needs: ['lie'],
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      fixture.inject('lie', 'news', 1);
      await broker.started(job, 1);
      await broker.renewed(job, 1);
      await fixture.advance(fixture.patienceMs / 2);
      expect(await fixture.state(ref!)).toBe('running');
    },
  },
  {
    title:
      'goes on after the framework was away for an hour: nothing is lost, and what ended meanwhile is told',
    needs: ['down'],
    async play({ fixture, broker }) {
      const refs = await fixture.submit(2);
      const jobs = await broker.fetch(2);
      await broker.fetch(
        1,
        jobs.map(({ job }) => job),
      );
      for (const job of jobs) await broker.started(job, 1);
      fixture.inject('down', 'all');
      for (let minute = 0; minute < 60; minute += 10) {
        for (const job of jobs) expect(['ok', 'again']).toContain(await broker.renewed(job, 1));
        expect(await broker.finished(jobs[0]!, 1)).toBe('again');
        await fixture.advance(600_000);
      }
      fixture.heal();
      expect(await broker.finished(jobs[0]!, 1)).toBe('ok');
      await broker.renewed(jobs[1]!, 1);
      await fixture.advance(fixture.patienceMs / 2);
      const other = refs.find((ref) => ref === jobs[1]!.ref)!;
      expect(await fixture.state(other)).toBe('running');
      expect(await broker.finished(jobs[1]!, 1)).toBe('ok');
      for (const ref of refs) expect(await fixture.state(ref)).toBe('finished');
    },
  },
  {
    title: 'asks for the end of a running job that the framework wants ended, again and again until it has',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      await fixture.kill(ref!);
      broker.heard();
      for (let time = 0; time < 2; time++) {
        await broker.renewed(job, 1);
        await fixture.advance(180_000);
        expect(broker.heard()).toContainEqual({
          kind: 'kill',
          job: job.job,
          reason: expect.stringMatching(/\S/),
        });
      }
      expect(await broker.failed(job, 'cancelled', 'as its framework asked')).toBe('ok');
      expect(await fixture.state(ref!)).toBe('cancelled');
      broker.heard();
      await fixture.advance(180_000);
      expect(broker.heard().filter(({ kind }) => kind === 'kill')).toEqual([]);
    },
  },
  {
    title: 'asks for the end of a job that waits with us, of which the broker says nothing',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await fixture.kill(ref!);
      await fixture.advance(180_000);
      expect(broker.heard()).toContainEqual({
        kind: 'kill',
        job: job.job,
        reason: expect.stringMatching(/\S/),
      });
    },
  },
  {
    title: 'asks for the end of nobody’s job but the one that is to end',
    async play({ fixture, broker }) {
      const refs = await fixture.submit(3);
      const jobs = await broker.fetch(3);
      await broker.fetch(
        1,
        jobs.map(({ job }) => job),
      );
      for (const job of jobs) await broker.started(job, 1);
      await fixture.kill(refs[1]!);
      for (const job of jobs) await broker.renewed(job, 1);
      await fixture.advance(180_000);
      const killed = broker.heard().flatMap((work) => (work.kind === 'kill' ? [work.job] : []));
      expect(new Set(killed)).toEqual(
        new Set(jobs.filter(({ ref }) => ref === refs[1]).map(({ job }) => job)),
      );
    },
  },
  {
    title: 'is not confused by a wall clock that jumps a day, forward or back',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      for (const jump of [86_400_000, -172_800_000]) {
        fixture.jumpWall(jump);
        await aliveFor(LONG_MS, { fixture, broker }, job);
        expect(await fixture.state(ref!)).toBe('running');
      }
      expect(await broker.finished(job, 1)).toBe('ok');
    },
  },
];

/** The agent of the first attempt renews, often enough for the framework, for so long. */
async function aliveFor(ms: number, { fixture, broker }: FrameworkStage, job: NewJob): Promise<void> {
  const step = fixture.patienceMs / 2;
  for (let left = ms; left > 0; left -= step) {
    expect(await broker.renewed(job, 1, 1 - left / ms)).toBe('ok');
    await fixture.advance(step);
  }
}
