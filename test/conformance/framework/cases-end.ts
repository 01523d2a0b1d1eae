import { expect } from 'vitest';
import { orPending } from './or-pending.ts';
import type { FrameworkCase } from './case.ts';

/** How a job ends: told once it counts, told the same again, and never as ended where it is not. */
export const END_CASES: readonly FrameworkCase[] = [
  {
    title: 'brings a result to the framework, and the same answer when it is told again',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      expect(await broker.finished(job, 1)).toBe('ok');
      expect(await broker.finished(job, 1)).toBe('ok');
      expect(await fixture.state(ref!)).toBe('finished');
      expect(await fixture.taken()).toBe(0);
    },
  },
  {
    title: 'brings a result of which the framework heard nothing before, also after a restart',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await fixture.reopen();
      expect(await broker.finished(job, 4)).toBe('ok');
      expect(await fixture.state(ref!)).toBe('finished');
    },
  },
  {
    title: 'says of how many events a job was, the same when it is told again and after a restart',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      const wanted = fixture.events?.(ref!);
      for (const again of [async () => undefined, async () => undefined, () => fixture.reopen()]) {
        await again();
        expect(await broker.finished(job, 1)).toBe('ok');
        expect(broker.events()).toBe(wanted);
      }
    },
  },
  {
    title: 'I3 keeps the first result against another attempt and a late failure',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      expect(await broker.finished(job, 1)).toBe('ok');
      expect(await broker.finished(job, 2)).toBe('refused');
      await broker.failed(job, 'failed', 'too late');
      expect(await fixture.state(ref!)).toBe('finished');
      expect(await broker.finished(job, 1)).toBe('ok');
    },
  },
  {
    title: 'keeps a failure against a late result, and tells its reason',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      expect(await broker.failed(job, 'failed', 'the payload ended with code 3')).toBe('ok');
      expect(await broker.failed(job, 'failed', 'the payload ended with code 3')).toBe('ok');
      expect(await fixture.state(ref!)).toBe('failed');
      expect(await fixture.reason(ref!)).toContain('the payload ended with code 3');
      expect(await broker.finished(job, 2)).toBe('refused');
      expect(await fixture.state(ref!)).toBe('failed');
    },
  },
  {
    title: 'tells the framework of a job that the broker never took, though it gets no state back',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const [job] = await broker.fetch(1);
      await broker.failed(job!, 'failed', 'no agent could ever run it', '');
      expect(await fixture.state(ref!)).toBe('failed');
      expect(await fixture.reason(ref!)).toContain('no agent could ever run it');
      await fixture.advance(60_000);
      expect(await broker.fetch(1)).toEqual([]);
    },
  },
  {
    title: 'says “refused”, and only that, where the framework will not have a committed result',
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      fixture.refuseResults();
      expect(await broker.finished(job, 1)).toBe('refused');
      expect(await broker.finished(job, 1)).toBe('refused');
      expect(await fixture.state(ref!)).not.toBe('finished');
    },
  },
  ...(['down', 'lost', 'twice', 'half', 'html', 'lie', 'other', 'busy'] as const).map(
    (fault): FrameworkCase => ({
      title: `never says that a result counts before it does, though the call that ends a job went wrong: ${fault}`,
      needs: [fault],
      async play({ fixture, broker }) {
        const [ref] = await fixture.submit(1);
        const job = await broker.accepted();
        await broker.started(job, 1);
        fixture.inject(fault, 'end', 1);
        const first = await broker.finished(job, 1);
        expect(first).not.toBe('refused');
        if (first === 'ok') expect(await fixture.state(ref!)).toBe('finished');
        expect(await broker.finished(job, 1)).toBe('ok');
        expect(await fixture.state(ref!)).toBe('finished');
      },
    }),
  ),
  {
    title: 'gives up an end that hangs, and tells it again',
    needs: ['hang'],
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      await broker.started(job, 1);
      fixture.inject('hang', 'end', 1);
      const hanging = broker.finished(job, 1);
      await fixture.advance(180_000);
      expect(await orPending(hanging)).toBe('again');
      expect(await broker.finished(job, 1)).toBe('ok');
      expect(await fixture.state(ref!)).toBe('finished');
    },
  },
  {
    title: 'never says that a failure is known before it is',
    needs: ['lie'],
    async play({ fixture, broker }) {
      const [ref] = await fixture.submit(1);
      const job = await broker.accepted();
      fixture.inject('lie', 'end', 1);
      if ((await broker.failed(job, 'failed', 'it failed')) === 'ok')
        expect(await fixture.state(ref!)).toBe('failed');
      expect(await broker.failed(job, 'failed', 'it failed')).toBe('ok');
      expect(await fixture.state(ref!)).toBe('failed');
    },
  },
  {
    title: 'takes news of jobs that it does not know without harm',
    async play({ fixture, broker }) {
      await fixture.submit(1);
      const job = { ...(await broker.accepted()), job: 'z'.repeat(26), state: '' };
      await broker.started(job, 1);
      await broker.renewed(job, 1);
      await broker.released(job, 1);
      expect(await broker.failed(job, 'failed', 'gone')).toBe('ok');
      expect(await broker.finished(job, 1)).toBe('refused');
      await fixture.advance(120_000);
      expect(await fixture.taken()).toBe(1);
    },
  },
];
