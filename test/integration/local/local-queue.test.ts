import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LocalQueue, openLocalQueue } from '../../../adapters/jobs/local/local-queue.ts';
import type { JobChange, Submission } from '../../../adapters/jobs/local/queued-job.ts';
import { QUEUE_MIGRATIONS, QUEUE_SQL } from '../../../adapters/jobs/local/queue-schema.ts';
import { createLog } from '../../../protocol/runtime/log.ts';
import { wanted } from '../../conformance/job-adapter.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const log = createLog('test', { level: 'silent' });
const usage = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 16, diskMiB: 1 };

function submission(count: number, changes: Partial<Submission> = {}): Submission {
  const jobs = Array.from({ length: count }, (_, index) => ({
    label: `job ${index}`,
    priority: 0,
    retries: 2,
    description: wanted('x').description,
  }));
  return { key: 'key', queue: 'main', campaign: 'tests', owner: 'tester', jobs, ...changes };
}

describe('the local queue', () => {
  let directory: string;
  let path: string;
  let clock: ManualClock;
  let queue: LocalQueue;
  let seed = 0;

  const open = async (): Promise<LocalQueue> =>
    openLocalQueue({ path, clock, random: createSeededRandom(++seed), log });
  const reopen = async (): Promise<void> => {
    await queue.close();
    queue = await open();
  };
  const accepted = async (count = 1): Promise<readonly string[]> => {
    const { jobs } = await queue.submit(submission(count));
    await queue.fetch('main', 64, []);
    await queue.fetch('main', 1, jobs);
    return jobs;
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'co-pilot-queue-'));
    path = join(directory, 'queue.sqlite');
    clock = createManualClock();
    queue = await open();
  });
  afterEach(async () => {
    await queue.close();
    await rm(directory, { recursive: true });
  });

  it('submits once however often the same key comes, across restarts', async () => {
    const first = await queue.submit(submission(3));
    const again = await Promise.all([queue.submit(submission(3)), queue.submit(submission(3))]);
    await reopen();
    const late = await queue.submit(submission(3));
    expect(first.repeated).toBe(false);
    for (const repeat of [...again, late]) expect(repeat).toEqual({ jobs: first.jobs, repeated: true });
    expect(queue.counts('tests')?.total).toBe(3);
  });

  it('refuses a known key for other jobs', async () => {
    await queue.submit(submission(1));
    await expect(queue.submit(submission(2))).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(queue.submit(submission(1, { queue: 'other' }))).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(queue.counts('tests')?.total).toBe(1);
  });

  it('takes thousands in one sync, each with an id of 128 bits', async () => {
    const { jobs } = await queue.submit(submission(5_000));
    expect(new Set(jobs).size).toBe(5_000);
    for (const id of jobs) expect(id).toMatch(/^[a-z2-7]{26}$/);
    expect(queue.waiting()).toEqual(new Map([['main', 5_000]]));
  });

  it.each<[string, Partial<Submission>, RegExp]>([
    ['no jobs', { jobs: [] }, /1 to 10000 jobs/],
    ['too many', { jobs: submission(10_001).jobs }, /1 to 10000 jobs/],
    ['an empty key', { key: '' }, /key/],
    ['a key with spaces', { key: 'a b' }, /key/],
    ['a bad campaign', { campaign: '../x' }, /campaign/],
    ['a bad owner', { owner: 'A' }, /owner/],
    ['a bad label', { jobs: [{ ...submission(1).jobs[0]!, label: 'tab\there' }] }, /jobs\.0: ref/],
    ['a bad priority', { jobs: [{ ...submission(1).jobs[0]!, priority: 1001 }] }, /jobs\.0: priority/],
    ['too many retries', { jobs: [{ ...submission(1).jobs[0]!, retries: 101 }] }, /jobs\.0: retries/],
    [
      'a huge description',
      { jobs: [{ ...submission(1).jobs[0]!, description: wanted('x', 0, 13_000).description }] },
      /description of/,
    ],
    [
      'an input that escapes',
      {
        jobs: [
          {
            ...submission(1).jobs[0]!,
            description: {
              ...wanted('x').description,
              inputs: [{ name: '../passwd', size: 1, sha256: 'a'.repeat(64) }],
            },
          },
        ],
      },
      /description\.inputs\.0\.name/,
    ],
    ['a bad queue', { queue: 'Main Queue' }, /queue/],
  ])('refuses %s and stores nothing', async (_, changes, message) => {
    await expect(queue.submit(submission(1, changes))).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message,
    });
    expect(queue.list({})).toEqual({ jobs: [] });
  });

  it('lists by campaign and state in pages', async () => {
    const { jobs } = await queue.submit(submission(5));
    await queue.submit(submission(2, { key: 'second', campaign: 'others' }));
    await queue.cancel(jobs[1]!);
    const first = queue.list({ campaign: 'tests', limit: 3 });
    expect(first.jobs.map((job) => job.job)).toEqual(jobs.slice(0, 3));
    const second = queue.list({ campaign: 'tests', limit: 3, after: first.next! });
    expect(second.jobs.map((job) => job.job)).toEqual(jobs.slice(3));
    expect(second.next).toBeUndefined();
    expect(queue.list({ state: 'cancelled' }).jobs.map((job) => job.job)).toEqual([jobs[1]]);
    expect(queue.list({ campaign: 'others', state: 'pending' }).jobs).toHaveLength(2);
    expect(queue.list({}).jobs).toHaveLength(7);
    expect(queue.list({ campaign: 'nobody' }).jobs).toEqual([]);
  });

  it('keeps every failure with its reason and log tail, the newest 32', async () => {
    const [id] = await accepted();
    for (let attempt = 1; attempt <= 40; attempt++) await queue.released(id!, attempt, `lost ${attempt}`);
    await queue.failed(id!, 'failed', 'exit 3', [
      { attempt: 39, reason: 'exit 3', logTail: 'first' },
      { attempt: 41, reason: 'exit 3', logTail: `${'x'.repeat(5_000)}the end` },
    ]);
    await queue.released(id!, 39, 'late');
    const detail = queue.show(id!)!;
    expect(detail).toMatchObject({ state: 'failed', reason: 'exit 3' });
    expect(detail.failures.map((failure) => failure.attempt)).toEqual(
      Array.from({ length: 32 }, (_, at) => at + 10),
    );
    expect(detail.failures.find((failure) => failure.attempt === 39)).toEqual({
      attempt: 39,
      reason: 'exit 3',
      logTail: 'first',
    });
    expect(detail.failures.at(-1)?.logTail).toHaveLength(2048);
    expect(detail.failures.at(-1)?.logTail.endsWith('the end')).toBe(true);
  });

  it('hands over again at once what died with a broker, and not what the next one has accepted', async () => {
    const { jobs } = await queue.submit(submission(2));
    await queue.fetch('main', 64, []);
    clock.advance(1_000);
    expect((await queue.fetch('main', 64, jobs.slice(0, 1))).jobs).toEqual([]);
    queue.brokerCame();
    clock.advance(1);
    expect((await queue.fetch('main', 64, [])).jobs.map(({ job }) => job)).toEqual(jobs.slice(1));
    expect((await queue.fetch('main', 64, [])).jobs).toEqual([]);
  });

  it('keeps the result with its manifest and usage across a restart', async () => {
    const [id] = await accepted();
    const manifest = [{ name: 'out.txt', size: 3, sha256: 'c'.repeat(64) }];
    await queue.finished(id!, 4, manifest, usage);
    await queue.finished(id!, 4, [], usage);
    await reopen();
    expect(queue.show(id!)?.result).toEqual({ attempt: 4, manifest, usage });
  });

  it('tries a failed job again under a new id, once, and counts it once', async () => {
    const [id, other] = await accepted(2);
    await queue.failed(id!, 'failed', 'exit 1', []);
    const [again, repeat] = await Promise.all([queue.retry(id!), queue.retry(id!)]);
    expect(again).toBe(repeat);
    expect(again).not.toBe(id);
    expect(queue.show(again)).toMatchObject({
      state: 'pending',
      retryOf: id,
      description: queue.show(id!)?.description,
    });
    expect(queue.show(id!)).toMatchObject({ state: 'failed', retriedAs: again });
    expect(queue.counts('tests')).toMatchObject({
      total: 2,
      retried: 1,
      states: { pending: 1, accepted: 1, failed: 0 },
    });
    await expect(queue.retry(other!)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(queue.retry('z'.repeat(26))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('lets a running job be ended by the broker, and says so until then', async () => {
    const [id] = await accepted();
    await queue.started(id!, 1, 'b'.repeat(26));
    expect(await queue.cancel(id!)).toMatchObject({ state: 'running', cancelling: true });
    await reopen();
    expect(queue.cancelling(10).map((unwanted) => unwanted.job)).toEqual([id]);
    await queue.failed(id!, 'cancelled', 'as asked', []);
    expect(queue.cancelling(10)).toEqual([]);
    expect(queue.show(id!)).toMatchObject({ state: 'cancelled', cancelling: false });
    await expect(queue.cancel('z'.repeat(26))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('tells every change in order, after it is durable', async () => {
    const changes: JobChange[] = [];
    const stop = queue.onChange((group) => changes.push(...group));
    const [id] = await accepted();
    await queue.started(id!, 1, 'b'.repeat(26));
    await queue.started(id!, 1, 'b'.repeat(26));
    await queue.finished(id!, 1, [], usage);
    expect(changes.map((change) => change.state)).toEqual([
      'pending',
      'handed',
      'accepted',
      'running',
      'finished',
    ]);
    stop();
    await queue.submit(submission(1, { key: 'another' }));
    expect(changes).toHaveLength(5);
  });

  it('counts a campaign without reading its jobs, and right after any mix of changes', async () => {
    const jobs = await accepted(10);
    await queue.started(jobs[0]!, 1, 'b'.repeat(26));
    await queue.finished(jobs[1]!, 1, [], usage);
    await queue.failed(jobs[2]!, 'failed', 'why', []);
    await queue.cancel(jobs[3]!);
    const listed = queue.list({ campaign: 'tests', limit: 100 }).jobs;
    const byState = Object.groupBy(listed, (job) => job.state);
    const counts = queue.counts('tests')!;
    for (const [state, count] of Object.entries(counts.states)) {
      expect([state, count]).toEqual([
        state,
        Object.entries(byState).find(([name]) => name === state)?.[1].length ?? 0,
      ]);
    }
    expect(queue.counts('nobody')).toBeUndefined();
  });

  it('refuses a second opener with QUEUE_IN_USE', async () => {
    await expect(open()).rejects.toMatchObject({ code: 'QUEUE_IN_USE' });
  });

  it('refuses calls after it was closed, and closes twice', async () => {
    const last = queue.submit(submission(1));
    await queue.close();
    await queue.close();
    expect((await last).jobs).toHaveLength(1);
    await expect(queue.submit(submission(1))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    expect(() => queue.list({})).toThrow(expect.objectContaining({ code: 'QUEUE_UNAVAILABLE' }));
  });

  it('refuses more waiting calls than its bound', async () => {
    const [id] = await accepted();
    const calls = Array.from({ length: 10_001 }, (_, at) => queue.renewed(id!, 1, at / 20_000));
    const outcomes = await Promise.allSettled(calls);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(1);
    expect(refused[0]?.reason).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  });
});

describe('the file of the local queue', () => {
  let directory: string;
  let path: string;
  let seed = 1000;
  const open = (maxPages = 1_000_000): Promise<LocalQueue> =>
    openLocalQueue({ path, random: createSeededRandom(++seed), log, maxPages });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'co-pilot-queue-'));
    path = join(directory, 'queue.sqlite');
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('refuses a file that is no database, and leaves it as it is', async () => {
    await writeFile(path, 'my thesis'.repeat(1000));
    await expect(open()).rejects.toMatchObject({ code: 'QUEUE_CORRUPT' });
    expect(await readFile(path, 'utf8')).toBe('my thesis'.repeat(1000));
  });

  it('refuses the database of something else', async () => {
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE photos (id INTEGER)');
    other.close();
    await expect(open()).rejects.toMatchObject({ code: 'QUEUE_CORRUPT', message: /something else/ });
  });

  it('refuses a newer version', async () => {
    await (await open()).close();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 99');
    newer.close();
    await expect(open()).rejects.toMatchObject({ code: 'QUEUE_CORRUPT', message: /version 99/ });
  });

  it('takes over a queue of version 1, whose jobs keep their places', async () => {
    const first = await open();
    const { jobs } = await first.submit(submission(5));
    await first.fetch('main', 2, []);
    await first.close();
    const older = new DatabaseSync(path);
    older.exec(`DROP INDEX job_pending;
      ALTER TABLE job DROP COLUMN held;
      DROP TABLE paused;
      CREATE INDEX job_pending ON job (queue, priority DESC, seq) WHERE state = 'pending';
      PRAGMA user_version = 1`);
    older.close();
    const taken = await open();
    expect((await taken.fetch('main', 5, [])).jobs.map(({ job }) => job)).toEqual(jobs);
    await taken.close();
    const now = new DatabaseSync(path);
    const schema = (database: DatabaseSync) =>
      database.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all();
    const made = new DatabaseSync(':memory:');
    made.exec(QUEUE_MIGRATIONS.join(''));
    expect(now.prepare('PRAGMA user_version').get()).toEqual({ user_version: QUEUE_MIGRATIONS.length });
    expect(schema(now)).toEqual(schema(made));
    for (const database of [now, made]) database.close();
  });

  it('refuses a directory that is not there', async () => {
    path = join(directory, 'missing', 'queue.sqlite');
    await expect(open()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  });

  it('says QUEUE_FULL where the disk is full, loses nothing, and goes on when there is room', async () => {
    await (await open()).close();
    const queue = await open(60);
    const acknowledged: string[] = [];
    const fill = async (): Promise<void> => {
      for (let turn = 0; turn < 1000; turn++) {
        acknowledged.push(...(await queue.submit(submission(20, { key: `turn-${turn}` }))).jobs);
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    expect(acknowledged.length).toBeGreaterThan(0);
    expect(queue.counts('tests')?.total).toBe(acknowledged.length);
    await queue.close();
    const roomy = await open();
    expect(roomy.counts('tests')?.total).toBe(acknowledged.length);
    expect((await roomy.submit(submission(20, { key: 'later' }))).jobs).toHaveLength(20);
    await roomy.close();
  });

  it('serves every statement from an index: no table scan, no sort', () => {
    const database = new DatabaseSync(':memory:');
    database.exec(QUEUE_MIGRATIONS.join(''));
    const steps = Object.entries(QUEUE_SQL).flatMap(([name, sql]) =>
      database
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map(({ detail }) => `${name}: ${String(detail)}`),
    );
    expect(steps.length).toBeGreaterThan(15);
    expect(steps.filter((step) => /\bSCAN\b|TEMP B-TREE/.test(step))).toEqual([]);
    database.close();
  });

  it('keeps every acknowledged job, acceptance and result when it is killed', async () => {
    for (const lines of [3, 20]) {
      const told = await killedAfter(path, lines);
      const queue = await open();
      for (const line of told) checkKept(queue, line);
      await queue.close();
    }
  });
});

/** Runs the holder until it has said so many lines, kills it, and answers everything it said. */
async function killedAfter(path: string, lines: number): Promise<readonly string[]> {
  await rm(path, { force: true });
  const holder = spawn(process.execPath, [join(import.meta.dirname, 'queue-holder.ts'), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  holder.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.split('\n').length > lines) holder.kill('SIGKILL');
  });
  await once(holder, 'close');
  const whole = said.split('\n').slice(0, -1);
  expect(whole.length).toBeGreaterThanOrEqual(lines);
  return whole;
}

function checkKept(queue: LocalQueue, line: string): void {
  const [verb, ...words] = line.split(' ');
  const ids = words.filter((word) => word.length === 26);
  expect(ids.length).toBeGreaterThan(0);
  for (const id of ids) {
    const state = queue.show(id)?.state;
    if (verb === 'submitted') expect(state).toBeDefined();
    if (verb === 'accepted') expect(['accepted', 'finished']).toContain(state);
    if (verb === 'finished') expect(state).toBe('finished');
  }
}
