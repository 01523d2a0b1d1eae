import { describe, expect, it } from 'vitest';
import { createBatches } from '../../../adapters/jobs/panda/batches.ts';

interface Item {
  readonly job: number;
  readonly word: string;
}

interface Call {
  readonly words: readonly string[];
  answer(): void;
  fail(why: Error): void;
}

describe('single calls gathered into calls for many', () => {
  const setUp = (most = 10) => {
    const calls: Call[] = [];
    const batches = createBatches<Item, string>({
      most,
      keyOf: ({ job }) => job,
      run: (items) =>
        new Promise((resolve, reject) => {
          const words = items.map(({ word }) => word);
          calls.push({ words, answer: () => resolve(words.map((word) => `${word}!`)), fail: reject });
        }),
    });
    const ask = (job: number, word: string): Promise<string> => batches.ask({ job, word });
    const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    return { calls, ask, settled };
  };

  it('has what is asked in one turn in one call, and two calls under way at most', async () => {
    const { calls, ask, settled } = setUp();
    const asked = [ask(1, 'a'), ask(2, 'b')];
    await settled();
    asked.push(ask(3, 'c'));
    await settled();
    asked.push(ask(4, 'd'), ask(5, 'e'));
    await settled();
    expect(calls.map(({ words }) => words)).toEqual([['a', 'b'], ['c']]);
    calls[1]?.answer();
    await settled();
    expect(calls.at(-1)?.words).toEqual(['d', 'e']);
    for (const call of calls) call.answer();
    expect(await Promise.all(asked)).toEqual(['a!', 'b!', 'c!', 'd!', 'e!']);
  });

  it('never has two words about one job under way together, and keeps their order', async () => {
    const { calls, ask, settled } = setUp();
    const asked = [ask(1, 'starting'), ask(1, 'running'), ask(2, 'starting')];
    await settled();
    asked.push(ask(1, 'finished'), ask(3, 'starting'));
    await settled();
    expect(calls.map(({ words }) => words)).toEqual([['starting', 'starting'], ['starting']]);
    calls[0]?.answer();
    await settled();
    expect(calls.at(-1)?.words).toEqual(['running']);
    calls.at(-1)?.answer();
    await settled();
    expect(calls.at(-1)?.words).toEqual(['finished']);
    for (const call of calls) call.answer();
    await Promise.all(asked);
  });

  it('has no more than so many in one call, and tells all of a call that failed', async () => {
    const { calls, ask, settled } = setUp(2);
    const asked = [1, 2, 3].map((job) => ask(job, String(job)));
    const judged = Promise.allSettled(asked);
    await settled();
    calls[0]?.fail(new Error('down'));
    await settled();
    calls[1]?.answer();
    expect((await judged).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
    expect(calls.map(({ words }) => words)).toEqual([['1', '2'], ['3']]);
  });
});
