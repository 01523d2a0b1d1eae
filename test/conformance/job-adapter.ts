import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAnswers } from '../../protocol/generated/validators.js';
import { MAX_FETCH_BYTES } from '../../adapters/jobs/fetch-bound.ts';
import type { JobAdapter, NewJob, Work } from '../../adapters/jobs/job-adapter.ts';
import { answerJobItem } from '../../adapters/jobs/serve.ts';

/** What the suite gives to a framework; ids are the adapter's. */
export interface WantedJob extends Pick<NewJob, 'ref' | 'priority' | 'description'> {
  readonly owner?: string;
  readonly campaign?: string;
}

/** One adapter over one framework, with the hands of the framework's user. */
export interface JobAdapterFixture {
  readonly adapter: JobAdapter;
  submit(queue: string, jobs: readonly WantedJob[]): Promise<readonly string[]>;
  cancel(job: string): Promise<void>;
  state(job: string): Promise<string>;
  /** Lets the adapter's clock move on. */
  advance(ms: number): Promise<void>;
  /** Ends the adapter without warning and starts another over the same framework. */
  reopen(): Promise<JobAdapterFixture>;
  close(): Promise<void>;
}

const AGENT = 'b'.repeat(26);
const usage = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 16, diskMiB: 1 };
const manifest = [{ name: 'out.txt', size: 3, sha256: 'c'.repeat(64) }];

export function wanted(ref: string, priority = 0, padding = 0): WantedJob {
  return {
    ref,
    priority,
    description: {
      command: 'true',
      arguments:
        padding === 0 ? [] : Array.from({ length: Math.ceil(padding / 1000) }, () => 'x'.repeat(1000)),
      environment: {},
      inputs: [],
      outputs: [{ name: 'out.txt' }],
      limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 16 },
      requirements: '',
    },
  };
}

/** What every job adapter promises (docs: the port `JobAdapter`). */
export function jobAdapterConformance(name: string, open: () => Promise<JobAdapterFixture>): void {
  describe(`job adapter contract: ${name}`, () => {
    let fixture: JobAdapterFixture;
    beforeEach(async () => {
      fixture = await open();
    });
    afterEach(async () => fixture.close());

    const fetchRefs = async (max: number, accepted: readonly string[] = []): Promise<readonly string[]> =>
      (await fixture.adapter.fetch('main', max, accepted)).jobs.map((job) => job.ref);
    const oneAccepted = async (): Promise<string> => {
      const [id] = await fixture.submit('main', [wanted('one')]);
      await fixture.adapter.fetch('main', 1, []);
      await fixture.adapter.fetch('main', 1, [id!]);
      return id!;
    };

    it('hands over the best first, oldest first among equals, and says when more wait', async () => {
      await fixture.submit('main', [wanted('low', -1), wanted('first'), wanted('second'), wanted('high', 9)]);
      const fetched = await fixture.adapter.fetch('main', 3, []);
      expect(fetched.jobs.map((job) => job.ref)).toEqual(['high', 'first', 'second']);
      expect(fetched.more).toBe(true);
      expect(await fixture.adapter.fetch('main', 3, [])).toMatchObject({
        jobs: [{ ref: 'low' }],
        more: false,
      });
    });

    it('hands over in turn: owner after owner, of each the highest priority, there campaign after campaign', async () => {
      const job = (ref: string, owner: string, campaign: string, priority = 0): WantedJob => ({
        ...wanted(ref, priority),
        owner,
        campaign,
      });
      await fixture.submit('main', [
        ...['a1', 'a2', 'a3', 'a4'].map((ref) => job(ref, 'ann', 'first')),
        ...['b1', 'b2'].map((ref) => job(ref, 'bob', 'first')),
        ...['c1', 'c2'].map((ref) => job(ref, 'ann', 'second')),
        job('urgent', 'ann', 'first', 9),
      ]);
      expect(await fetchRefs(4)).toEqual(['urgent', 'b1', 'c1', 'b2']);
      // Where an answer ended, the next goes on.
      expect(await fetchRefs(3)).toEqual(['a1', 'c2', 'a2']);
      expect(await fetchRefs(3)).toEqual(['a3', 'a4']);
    });

    it('is not filled by one owner: who comes last to a long queue is in the next answer', async () => {
      await fixture.submit(
        'main',
        Array.from({ length: 300 }, (_, index) => ({ ...wanted(`flood-${index}`, 1000), owner: 'flood' })),
      );
      await fetchRefs(8);
      await fixture.submit('main', [{ ...wanted('late', -1000), owner: 'late' }]);
      expect(await fetchRefs(2)).toContain('late');
    });

    it('keeps queues apart', async () => {
      await fixture.submit('other', [wanted('elsewhere')]);
      expect(await fetchRefs(10)).toEqual([]);
    });

    it('hands over again what was never named as accepted, not sooner than 10 s', async () => {
      const [id] = await fixture.submit('main', [wanted('one')]);
      expect(await fetchRefs(10)).toEqual(['one']);
      await fixture.advance(9_000);
      expect(await fetchRefs(10)).toEqual([]);
      await fixture.advance(1_100);
      expect(await fetchRefs(10)).toEqual(['one']);
      await fixture.advance(60_000);
      expect(await fetchRefs(10, [id!])).toEqual([]);
    });

    it('hands over again at once after the adapter died', async () => {
      await fixture.submit('main', [wanted('one')]);
      expect(await fetchRefs(10)).toEqual(['one']);
      fixture = await fixture.reopen();
      expect(await fetchRefs(10)).toEqual(['one']);
    });

    it('does not hand over again what was accepted before the adapter died', async () => {
      await oneAccepted();
      fixture = await fixture.reopen();
      expect(await fetchRefs(10)).toEqual([]);
    });

    it('follows a job through lost attempts to its result, whatever is repeated', async () => {
      const id = await oneAccepted();
      await twice(() => fixture.adapter.started(id, 1, AGENT, ''));
      await fixture.adapter.renewed(id, 1, 0.5, '');
      expect(await fixture.state(id)).toBe('running');
      await twice(() => fixture.adapter.released(id, 1, 'lost', ''));
      expect(await fixture.state(id)).toBe('accepted');
      await fixture.adapter.started(id, 2, AGENT, '');
      expect(await fixture.adapter.finished(id, 2, manifest, usage, '')).toBe('ok');
      expect(await fixture.adapter.finished(id, 2, manifest, usage, '')).toBe('ok');
      expect(await fixture.state(id)).toBe('finished');
    });

    it('I3 keeps the first result against another attempt, a late failure and a cancellation', async () => {
      const id = await oneAccepted();
      await fixture.adapter.finished(id, 2, manifest, usage, '');
      expect(await fixture.adapter.finished(id, 3, manifest, usage, '')).toBe('refused');
      await fixture.adapter.failed(id, 'failed', 'too late', [], '');
      await fixture.cancel(id);
      expect(await fixture.state(id)).toBe('finished');
    });

    it('never runs an old attempt again because old news come late', async () => {
      const id = await oneAccepted();
      await fixture.adapter.released(id, 1, 'lost', '');
      await fixture.adapter.started(id, 1, AGENT, '');
      await fixture.adapter.renewed(id, 1, 0.9, '');
      expect(await fixture.state(id)).toBe('accepted');
      await fixture.adapter.started(id, 3, AGENT, '');
      await fixture.adapter.released(id, 2, 'late', '');
      expect(await fixture.state(id)).toBe('running');
    });

    it('keeps a failed job failed', async () => {
      const id = await oneAccepted();
      await fixture.adapter.failed(
        id,
        'failed',
        'exit 1',
        [{ attempt: 1, reason: 'exit 1', logTail: 'boom' }],
        '',
      );
      expect(await fixture.adapter.finished(id, 2, manifest, usage, '')).toBe('refused');
      expect(await fixture.state(id)).toBe('failed');
    });

    it('says that jobs wait, once for a batch', async () => {
      const heard: Work[] = [];
      fixture.adapter.onWork((work) => heard.push(work));
      await fixture.advance(1);
      heard.length = 0;
      await fixture.submit('main', [wanted('one'), wanted('two'), wanted('three')]);
      await fixture.advance(1);
      expect(heard).toEqual([{ kind: 'available', queue: 'main', count: 3 }]);
    });

    it('says again that jobs wait, for it may not have been heard', async () => {
      const heard: Work[] = [];
      await fixture.submit('main', [wanted('one')]);
      fixture.adapter.onWork((work) => heard.push(work));
      await fixture.advance(1);
      await fixture.advance(10_001);
      expect(heard.length).toBeGreaterThanOrEqual(2);
    });

    it('asks for the end of a cancelled job, and again whenever the broker speaks of it', async () => {
      const id = await oneAccepted();
      const heard: Work[] = [];
      fixture.adapter.onWork((work) => heard.push(work));
      await fixture.cancel(id);
      await fixture.advance(1);
      const kill = { kind: 'kill', job: id, reason: expect.any(String) };
      expect(heard).toContainEqual(kill);
      heard.length = 0;
      await fixture.adapter.renewed(id, 1, 0.1, '');
      await fixture.advance(1);
      expect(heard).toContainEqual(kill);
      await fixture.adapter.failed(id, 'cancelled', 'as asked', [], '');
      expect(await fixture.state(id)).toBe('cancelled');
    });

    it('never hands over what was cancelled while it waited, and ends it if the broker had it after all', async () => {
      const [id] = await fixture.submit('main', [wanted('one')]);
      await fetchRefs(1);
      const heard: Work[] = [];
      fixture.adapter.onWork((work) => heard.push(work));
      await fixture.cancel(id!);
      await fixture.advance(20_000);
      expect(await fetchRefs(1)).toEqual([]);
      heard.length = 0;
      expect(await fetchRefs(1, [id!])).toEqual([]);
      await fixture.advance(1);
      expect(heard).toContainEqual({ kind: 'kill', job: id, reason: expect.any(String) });
      expect(await fixture.adapter.finished(id!, 1, manifest, usage, '')).toBe('refused');
    });

    it('takes news of jobs it does not know without harm', async () => {
      const stranger = 'z'.repeat(26);
      await fixture.adapter.started(stranger, 1, AGENT, '');
      await fixture.adapter.renewed(stranger, 1, 0.5, '');
      await fixture.adapter.released(stranger, 1, 'gone', '');
      await fixture.adapter.failed(stranger, 'failed', 'gone', [], '');
      expect(await fixture.adapter.finished(stranger, 1, manifest, usage, '')).toBe('refused');
      expect(await fetchRefs(1, [stranger])).toEqual([]);
    });

    it('bounds an answer by bytes, and every job comes through in a later one', async () => {
      const big = Array.from({ length: 9 }, (_, index) => wanted(`big-${index}`, 0, 9_000));
      const ids = await fixture.submit('main', big);
      const seen: string[] = [];
      for (let turn = 0; turn < ids.length && seen.length < ids.length; turn++) {
        const item = { op: 'fetch', item: turn + 1, queue: 'main', max: 1024, accepted: [] } as const;
        const answer = await answerJobItem(fixture.adapter, item);
        if (answer.result !== 'jobs') throw new Error(`answered ${answer.result}`);
        expect(isAnswers({ kind: 'answers', items: [answer] })).toBe(true);
        expect(JSON.stringify(answer).length).toBeLessThan(28 * 1024);
        expect(answer.more).toBe(seen.length + answer.jobs.length < ids.length);
        seen.push(...answer.jobs.map((job) => job.job));
      }
      expect(new Set(seen)).toEqual(new Set(ids));
      expect(MAX_FETCH_BYTES).toBeLessThan(28 * 1024);
    });

    it('hands over nothing the contract refuses', async () => {
      await fixture.submit('main', [wanted('one'), wanted('two', 7)]);
      const { jobs } = await fixture.adapter.fetch('main', 10, []);
      expect(isAnswers({ kind: 'answers', items: [{ result: 'jobs', item: 1, jobs, more: false }] })).toBe(
        true,
      );
      expect(new Set(jobs.map((job) => job.job)).size).toBe(2);
    });
  });
}

async function twice(call: () => Promise<void>): Promise<void> {
  await call();
  await call();
}
