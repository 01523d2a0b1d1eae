import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Control, createControl } from '../../../adapters/jobs/local/control.ts';
import { type LocalQueue, openLocalQueue } from '../../../adapters/jobs/local/local-queue.ts';
import { QUEUE_APPLICATION_ID, QUEUE_MIGRATIONS } from '../../../adapters/jobs/local/queue-schema.ts';
import type { JobChange, Submission } from '../../../adapters/jobs/local/queued-job.ts';
import { type ControlClient, createControlClient } from '../../../cli/control-client.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { wanted } from '../../conformance/job-adapter.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const usage = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 };

function submission(campaign: string, count: number, queue = 'main'): Submission {
  const job = { label: campaign, priority: 0, retries: 1, description: wanted('x').description };
  return { key: campaign, queue, campaign, owner: 'tester', jobs: Array.from({ length: count }, () => job) };
}

let directory: string;
let clock: ManualClock;
let queue: LocalQueue;
let control: Control;
let client: ControlClient;

beforeEach(async () => {
  directory = await temporaryDirectory('campaigns');
  await start();
});
afterEach(async () => {
  await stop();
  await removeDirectory(directory);
});

async function start(): Promise<void> {
  clock = createManualClock();
  queue = await openLocalQueue({ path: path(), clock, random: nodeRandom, log: silentLog });
  control = createControl({ queue, path: join(directory, 'run', 'control'), clock, log: silentLog });
  client = createControlClient({ socketPath: join(directory, 'run', 'control') });
  await control.start();
}

async function stop(): Promise<void> {
  await control.stop();
  await queue.close();
}

function path(): string {
  return join(directory, 'queue.sqlite');
}

async function handed(): Promise<readonly string[]> {
  return (await queue.fetch('main', 64, [])).jobs.map(({ campaign }) => campaign);
}

describe('a campaign that is paused', () => {
  it('is not handed over, later jobs of it included, while others are; and goes on when it is resumed', async () => {
    await client.submit(submission('held', 3));
    await client.submit(submission('free', 2));
    expect(await client.pause('held')).toMatchObject({ paused: true, states: { pending: 3 } });
    expect(await handed()).toEqual(['free', 'free']);
    await client.submit({ ...submission('held', 1), key: 'later' });
    expect(await handed()).toEqual([]);
    const told: JobChange[] = [];
    queue.onChange((changes) => told.push(...changes));
    expect(await client.resume('held')).toMatchObject({ paused: false, states: { pending: 4 } });
    // The adapter says on such news that jobs wait: nobody waits for its next reminder.
    expect(told).toMatchObject([{ campaign: 'held', state: 'pending' }]);
    expect(await handed()).toEqual(['held', 'held', 'held', 'held']);
  });

  it('stays so through a restart, and twice is as once', async () => {
    await client.submit(submission('held', 1));
    await client.pause('held');
    await client.pause('held');
    await stop();
    await start();
    expect((await client.campaign('held')).paused).toBe(true);
    expect(await handed()).toEqual([]);
    await client.resume('held');
    await client.resume('held');
    expect(await handed()).toEqual(['held']);
  });

  it('is not handed over again where an answer was lost, and what the broker has goes on', async () => {
    const { jobs } = await client.submit(submission('held', 2));
    const [first = '', second = ''] = jobs;
    await handed();
    await client.pause('held');
    await queue.fetch('main', 64, [first]);
    await queue.started(first, 1, 'agent');
    clock.advance(60_000);
    expect(await handed()).toEqual([]);
    expect(await client.campaign('held')).toMatchObject({ states: { running: 1, handed: 1, pending: 0 } });
    expect(await queue.finished(first, 1, [], usage)).toBe('ok');
    await client.resume('held');
    expect((await queue.fetch('main', 64, [])).jobs.map(({ job }) => job)).toEqual([second]);
  });

  it('of more jobs than are set aside at once is paused and resumed whole, also where a crash came between', async () => {
    await client.submit(submission('many', 5_500));
    await stop();
    const database = new DatabaseSync(path());
    database.exec("INSERT INTO paused VALUES ('many', 0); UPDATE job SET held = 1 WHERE seq <= 100");
    database.close();
    await start();
    expect(await handed()).toEqual([]);
    await Promise.all([client.pause('many'), client.resume('many'), client.pause('many')]);
    await client.resume('many');
    expect((await queue.fetch('main', 64, [])).jobs.length).toBeGreaterThan(10);
    await client.pause('many');
    expect(await client.campaign('many')).toMatchObject({ paused: true, total: 5_500 });
    clock.advance(60_000);
    expect(await handed()).toEqual([]);
    await client.resume('many');
    const left = queue.counts('many')?.states.pending ?? 0;
    let seen = 0;
    for (let jobs = ['']; jobs.length > 0; seen += jobs.length)
      jobs = (await queue.fetch('main', 64, [])).jobs.map(({ job }) => job);
    expect(seen).toBeGreaterThanOrEqual(left);
  });

  it('that nobody knows is not there (NOT_FOUND), with the next step', async () => {
    for (const call of [client.pause('none'), client.resume('none'), client.cancelPage('none', undefined, 0)])
      await expect(call).rejects.toMatchObject({ code: 'NOT_FOUND', message: /campaign list/ });
  });
});

describe('a campaign that is cancelled', () => {
  it('ends what waits at once and what the broker has when it says so, page by page', async () => {
    const { jobs } = await client.submit(submission('many', 1_200));
    const accepted = (await queue.fetch('main', 10, [])).jobs.map(({ job }) => job);
    await queue.fetch('main', 0, accepted);
    const unwanted: string[] = [];
    queue.onUnwanted(({ job }) => unwanted.push(job));
    const pages = [];
    let after: number | undefined = 0;
    while (after !== undefined) {
      const page = await client.cancelPage('many', undefined, after);
      pages.push([page.cancelled, page.cancelling]);
      after = page.next;
    }
    expect(pages).toEqual([
      [490, 10],
      [500, 0],
      [200, 0],
    ]);
    expect(unwanted.toSorted()).toEqual(accepted.toSorted());
    expect(await client.campaign('many')).toMatchObject({ states: { cancelled: 1_190, accepted: 10 } });
    expect(jobs).toHaveLength(1_200);
  });

  it('may be cancelled in one state alone, and what is final stays', async () => {
    const { jobs } = await client.submit(submission('some', 3));
    await queue.fetch('main', 1, []);
    expect(await client.cancelPage('some', 'handed', 0)).toEqual({ cancelled: 1, cancelling: 0 });
    expect(await client.cancelPage('some', 'cancelled', 0)).toEqual({ cancelled: 0, cancelling: 0 });
    expect((await client.show(jobs[1] ?? '')).state).toBe('pending');
  });
});

describe('campaigns and queues', () => {
  it('are listed with counts, age and pace', async () => {
    const { jobs } = await client.submit(submission('one', 3));
    const submittedMs = clock.wallMs();
    await client.submit(submission('two', 1, 'other'));
    clock.advance(60_000);
    for (const job of jobs.slice(0, 2)) await queue.finished(job, 1, [], usage);
    clock.advance(30_000);
    expect(await client.campaigns()).toMatchObject({
      campaigns: [
        { campaign: 'one', owner: 'tester', queue: 'main', submittedMs, finishedPerMinute: 3 },
        { campaign: 'two', queue: 'other', states: { pending: 1 }, finishedPerMinute: null },
      ],
    });
    expect(await client.queues()).toMatchObject({
      queues: [
        { queue: 'main', states: { finished: 2, pending: 1 }, oldestWaitingMs: submittedMs },
        { queue: 'other', states: { pending: 1 }, oldestWaitingMs: submittedMs },
      ],
    });
  });

  it('are listed page by page', async () => {
    for (const name of ['c', 'a', 'b']) await client.submit(submission(name, 1));
    const first = queue.campaigns('', 2);
    expect([first.campaigns.map(({ campaign }) => campaign), first.next]).toEqual([['a', 'b'], 'b']);
    expect(queue.campaigns('b', 2).campaigns.map(({ campaign }) => campaign)).toEqual(['c']);
  });
});

describe('a queue that an earlier version made', () => {
  it('is brought to this one with all it holds', async () => {
    await stop();
    const old = join(directory, 'old.sqlite');
    const database = new DatabaseSync(old);
    database.exec(QUEUE_MIGRATIONS[0] ?? '');
    database.exec(`PRAGMA application_id = ${QUEUE_APPLICATION_ID}; PRAGMA user_version = 1`);
    database.exec(
      `INSERT INTO job (id, queue, campaign, owner, label, priority, retries, state, attempt, ended, agent, progress, cancelling, reason,
        submitted_ms, changed_ms) VALUES ('j', 'main', 'old', 'tester', 'l', 0, 0, 'failed', 1, 1, '', 0, 0, 'because', 1, 1)`,
    );
    database.close();
    const opened = await openLocalQueue({ path: old, random: nodeRandom, log: silentLog });
    expect(opened.campaign('old')).toMatchObject({ paused: false, states: { failed: 1 } });
    expect(await opened.pause('old')).toMatchObject({ paused: true });
    await opened.close();
    await start();
  });
});
