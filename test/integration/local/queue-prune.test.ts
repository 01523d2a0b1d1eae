import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LocalQueue, openLocalQueue } from '../../../adapters/jobs/local/local-queue.ts';
import type { Submission } from '../../../adapters/jobs/local/queued-job.ts';
import { wanted } from '../../conformance/job-adapter.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const DAY_MS = 86_400_000;
const RETENTION = { jobMs: 30 * DAY_MS, jobs: 1_000 };
const usage = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 16, diskMiB: 1 };

function submission(key: string, count: number, campaign = key): Submission {
  const jobs = Array.from({ length: count }, (_, index) => ({
    label: `job ${index}`,
    priority: 0,
    retries: 2,
    description: wanted('x').description,
  }));
  return { key, queue: 'main', campaign, owner: 'tester', jobs };
}

describe('pruning the local queue', () => {
  let directory: string;
  let clock: ManualClock;
  let queue: LocalQueue;

  beforeEach(async () => {
    directory = await temporaryDirectory('queue');
    clock = createManualClock();
    queue = await openLocalQueue({
      path: join(directory, 'queue.sqlite'),
      clock,
      random: createSeededRandom(1),
      log: silentLog,
    });
  });
  afterEach(async () => {
    await queue.close();
    await removeDirectory(directory);
  });

  async function finished(key: string, count: number): Promise<readonly string[]> {
    const { jobs } = await queue.submit(submission(key, count));
    await queue.fetch('main', 64, []);
    await queue.fetch('main', 1, jobs);
    for (const job of jobs) await queue.finished(job, 1, [], usage);
    return jobs;
  }
  const left = (): readonly string[] => queue.list({ limit: 1_000 }).jobs.map(({ job }) => job);

  it('removes what ended long ago with everything of it, and nothing else', async () => {
    const old = await finished('old', 3);
    const { jobs: waiting } = await queue.submit(submission('waiting', 2));
    clock.advance(31 * DAY_MS);
    const young = await finished('young', 1);
    expect(await queue.prune(RETENTION, 100)).toEqual({ jobs: 3, more: false });
    expect(left()).toEqual([...waiting, ...young]);
    expect(old.map((job) => queue.show(job))).toEqual([undefined, undefined, undefined]);
    expect(queue.states().get('finished')).toBe(1);
    expect(queue.counts('old')).toBeUndefined();
    // The key of what is gone is free again, that of what waits is not.
    expect((await queue.submit(submission('old', 3))).repeated).toBe(false);
    expect((await queue.submit(submission('waiting', 2))).repeated).toBe(true);
  });

  it('never removes a job that has not ended, however few may stay', async () => {
    const { jobs } = await queue.submit(submission('waiting', 5));
    clock.advance(4_000 * DAY_MS);
    await queue.prune({ jobMs: 0, jobs: 0 }, 100);
    expect(left()).toEqual(jobs);
  });

  it('keeps the newest where there are too many, in bounded steps', async () => {
    const jobs = await finished('many', 7);
    let more = true;
    let steps = 0;
    for (; more; steps += 1) ({ more } = await queue.prune({ ...RETENTION, jobs: 2 }, 3));
    expect(steps).toBeGreaterThan(1);
    expect(left()).toEqual(jobs.slice(-2));
    expect(queue.counts('many')).toMatchObject({ total: 7, states: { finished: 7 } });
  });

  it('a late word of the broker on a job that went is that on an unknown one, and brings nothing back', async () => {
    const [job = ''] = await finished('old', 1);
    clock.advance(31 * DAY_MS);
    await queue.prune(RETENTION, 100);
    await queue.started(job, 2, 'agent');
    await queue.failed(job, 'failed', 'late', []);
    expect(await queue.finished(job, 1, [], usage)).toBe('refused');
    expect(left()).toEqual([]);
    expect((await queue.fetch('main', 64, [job])).jobs).toEqual([]);
  });
});
