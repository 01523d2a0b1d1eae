import { describe, expect, it } from 'vitest';
import type { JobAdapter } from '../../../adapters/jobs/job-adapter.ts';
import { type AskItem, answerJobItem } from '../../../adapters/jobs/serve.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { isAnswers, isAsk } from '../../../protocol/generated/validators.js';

const job = 'a'.repeat(26);
const usage = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 16, diskMiB: 1 };

function adapterThat(act: () => Promise<never>): JobAdapter {
  return {
    fetch: act,
    started: act,
    renewed: act,
    released: act,
    finished: act,
    failed: act,
    onWork: () => undefined,
  };
}

function recording(calls: unknown[]): JobAdapter {
  const note =
    <T>(name: string, answer: T) =>
    async (...parameters: unknown[]): Promise<T> => {
      calls.push([name, ...parameters]);
      return answer;
    };
  return {
    fetch: note('fetch', { jobs: [], more: false }),
    started: note('started', undefined),
    renewed: note('renewed', undefined),
    released: note('released', undefined),
    finished: note('finished', 'ok' as const),
    failed: note('failed', undefined),
    onWork: () => undefined,
  };
}

const items: readonly AskItem[] = [
  { op: 'fetch', item: 1, queue: 'main', max: 1024, accepted: [job] },
  { op: 'started', item: 2, job, attempt: 1, agent: job },
  { op: 'renewed', item: 3, job, attempt: 1, progress: 0.5 },
  { op: 'released', item: 4, job, attempt: 1, reason: 'lost' },
  { op: 'finished', item: 5, job, attempt: 2, manifest: [], usage },
  { op: 'failed', item: 6, job, outcome: 'failed', reason: 'why', attempts: [] },
];

describe('items asked of a job adapter', () => {
  it('calls the adapter once for each and answers by the same number', async () => {
    const calls: unknown[] = [];
    expect(isAsk({ kind: 'ask', items })).toBe(true);
    const answers = await Promise.all(items.map((item) => answerJobItem(recording(calls), item)));
    expect(isAnswers({ kind: 'answers', items: answers })).toBe(true);
    expect(answers.map(({ result, item }) => [result, item])).toEqual([
      ['jobs', 1],
      ['ok', 2],
      ['ok', 3],
      ['ok', 4],
      ['ok', 5],
      ['ok', 6],
    ]);
    expect(calls).toEqual([
      ['fetch', 'main', 64, [job]],
      ['started', job, 1, job, ''],
      ['renewed', job, 1, 0.5, ''],
      ['released', job, 1, 'lost', ''],
      ['finished', job, 2, [], usage, ''],
      ['failed', job, 'failed', 'why', [], ''],
    ]);
  });

  it.each([0, 1, 1_000_000_000])('T-25 answers of how many events the job was: %i', async (events) => {
    const answer = await answerJobItem({ ...recording([]), finished: async () => ({ events }) }, items[4]!);
    expect(answer).toEqual({ result: 'ok', item: 5, events });
    expect(isAnswers({ kind: 'answers', items: [answer] })).toBe(true);
  });

  it.each([-1, 0.5, 1_000_000_001, Number.NaN, Infinity, 2 ** 53])(
    'T-25 leaves out what is no number of events, and the result counts all the same: %d',
    async (events) => {
      const adapter: JobAdapter = { ...recording([]), finished: async () => ({ events }) };
      expect(await answerJobItem(adapter, items[4]!)).toEqual({ result: 'ok', item: 5 });
    },
  );

  it('answers a result the framework will not have with RESULT_REFUSED', async () => {
    const adapter: JobAdapter = { ...recording([]), finished: async () => 'refused' };
    expect(await answerJobItem(adapter, items[4]!)).toMatchObject({
      result: 'refused',
      code: 'RESULT_REFUSED',
    });
  });

  it.each(items)('turns a fault into a refusal by its code: $op', async (item) => {
    const down = adapterThat(() => Promise.reject(new CoPilotError('UNREACHABLE', `no ${'x'.repeat(2000)}`)));
    const answer = await answerJobItem(down, item);
    expect(answer).toMatchObject({ result: 'refused', code: 'UNREACHABLE', item: item.item });
    expect(isAnswers({ kind: 'answers', items: [answer] })).toBe(true);
  });

  it('keeps the text of a fault of our own to itself', async () => {
    const broken = adapterThat(() => Promise.reject(new Error('secret path /etc/queue.sqlite')));
    const answer = await answerJobItem(broken, items[1]!);
    expect(answer).toMatchObject({ result: 'refused', code: 'INTERNAL' });
    expect(JSON.stringify(answer)).not.toContain('/etc');
  });

  it.each<AskItem>([
    { op: 'call', item: 9, job, attempt: 1, method: 'getJob', body: '' },
    { op: 'parts', item: 9, job, attempt: 1, verb: 'take', parts: [] },
    { op: 'grant', item: 9, grant: 'a.b.c' },
    { op: 'discard', item: 9, job, attempt: 1 },
    { op: 'available', item: 9, queue: 'main', count: 1 },
    { op: 'kill', item: 9, job, reason: 'no' },
  ])('refuses what is not for a job adapter: $op', async (item) => {
    const calls: unknown[] = [];
    expect(await answerJobItem(recording(calls), item)).toMatchObject({
      result: 'refused',
      code: 'UNSUPPORTED',
    });
    expect(calls).toEqual([]);
  });
});
