import { describe, expect, it } from 'vitest';
import type { Command, Outcome } from '../../../broker/core/command.ts';
import {
  createGroupQueue,
  type GroupQueueOptions,
  MAX_GROUP,
  MAX_QUEUED,
} from '../../../broker/ledger/group-queue.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { cancel } from '../lease-machine/world.ts';

interface Group {
  readonly jobs: readonly string[];
  readonly finish: (error?: Error) => void;
}

/** A queue whose groups end when the test says so. */
function createSubject(options: GroupQueueOptions = {}) {
  const groups: Group[] = [];
  const queue = createGroupQueue(
    (commands) =>
      new Promise<readonly Outcome[]>((resolve, reject) => {
        const outcomes = commands.map((): Outcome => ({ kind: 'unchanged' }));
        const finish = (error?: Error): void => (error === undefined ? resolve(outcomes) : reject(error));
        groups.push({ jobs: commands.map(jobOf), finish });
      }),
    options,
  );
  return { queue, groups };
}

function jobOf(command: Command): string {
  return command.kind === 'cancel' ? command.job : '';
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function cancels(from: number, count: number): readonly Command[] {
  return Array.from({ length: count }, (_, at) => cancel(`j${from + at}`));
}

describe('group commit', () => {
  it('calls of one turn share a group; those made meanwhile share the next', async () => {
    const { queue, groups } = createSubject();
    const first = [queue.apply(cancels(1, 1)), queue.apply(cancels(2, 1))];
    await settle();
    const second = [queue.apply(cancels(3, 1)), queue.apply(cancels(4, 2))];
    await settle();
    expect(groups.map(({ jobs }) => jobs)).toEqual([['j1', 'j2']]);
    groups[0]!.finish();
    await Promise.all(first);
    await settle();
    expect(groups[1]!.jobs).toEqual(['j3', 'j4', 'j5']);
    groups[1]!.finish();
    expect((await Promise.all(second)).map((outcomes) => outcomes.length)).toEqual([1, 2]);
  });

  it('what is worth a sync goes after the group under way without waiting for it, and no further', async () => {
    const { queue, groups } = createSubject({ enough: 2 });
    const ended: Promise<unknown>[] = [];
    for (const jobs of [2, 2, 3]) {
      for (let at = 0; at < jobs; at++)
        ended.push(Promise.allSettled([queue.apply(cancels(ended.length + 1, 1))]));
      await settle();
    }
    expect(groups.map(({ jobs }) => jobs)).toEqual([
      ['j1', 'j2'],
      ['j3', 'j4'],
    ]);
    groups[0]!.finish(new Error('the disk is full'));
    await settle();
    groups[1]!.finish();
    await settle();
    expect(groups[2]!.jobs).toEqual(['j5', 'j6', 'j7']);
    groups[2]!.finish();
    await queue.drained();
    const statuses = (await Promise.all(ended)).flat();
    expect(statuses.slice(0, 2)).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
    expect(statuses.slice(2)).toMatchObject(Array(5).fill({ status: 'fulfilled' }));
  });

  it('a turn is heard out before the first group is made of it', async () => {
    let end = (): void => undefined;
    const turn = (): Promise<void> => new Promise((resolve) => (end = resolve));
    const { queue, groups } = createSubject({ turn });
    const calls = [queue.apply(cancels(1, 1))];
    await settle();
    calls.push(queue.apply(cancels(2, 1)));
    expect(groups).toHaveLength(0);
    end();
    await settle();
    expect(groups.map(({ jobs }) => jobs)).toEqual([['j1', 'j2']]);
    groups[0]!.finish();
    expect(await Promise.all(calls)).toHaveLength(2);
  });

  it('a group ends at its bound, a call is never split, one larger than a group goes alone', async () => {
    const { queue, groups } = createSubject();
    const calls = [200, 56, 1, 300, 10].map((count, at) => queue.apply(cancels(at * 1_000, count)));
    for (let at = 0; at < 4; at++) {
      await settle();
      groups[at]!.finish();
    }
    await Promise.all(calls);
    expect(groups.map(({ jobs }) => jobs.length)).toEqual([MAX_GROUP, 1, 300, 10]);
  });

  it('a group that fails takes nobody else with it', async () => {
    const { queue, groups } = createSubject();
    const failing = Promise.allSettled([queue.apply(cancels(1, 1))]);
    await settle();
    const next = queue.apply(cancels(2, 1));
    groups[0]!.finish(new Error('disk'));
    expect((await failing)[0].status).toBe('rejected');
    await settle();
    groups[1]!.finish();
    expect(await next).toHaveLength(1);
  });

  it('I9 takes so many commands and no more', async () => {
    const { queue, groups } = createSubject();
    const running = queue.apply(cancels(0, 1));
    await settle();
    const taken = queue.apply(cancels(1, MAX_QUEUED));
    const refused = Promise.allSettled([queue.apply(cancels(0, 1))]);
    expect(await Promise.race([refused, settle()])).toMatchObject([
      { reason: { code: 'LEDGER_UNAVAILABLE' } },
    ]);
    groups[0]!.finish();
    await running;
    await settle();
    groups[1]!.finish();
    await taken;
    await queue.drained();
  });

  it('once failed it rejects what is queued and what comes', async () => {
    const { queue, groups } = createSubject();
    const running = Promise.allSettled([queue.apply(cancels(1, 1))]);
    await settle();
    const queued = Promise.allSettled([queue.apply(cancels(2, 1))]);
    const error = new CoPilotError('LEDGER_UNAVAILABLE', 'gone');
    queue.fail(error);
    expect((await queued)[0]).toMatchObject({ reason: error });
    await expect(queue.apply(cancels(3, 1))).rejects.toBe(error);
    groups[0]!.finish(error);
    expect((await running)[0].status).toBe('rejected');
    await queue.drained();
  });
});
