import { join } from 'node:path';
import type { Finished } from '../../../adapters/jobs/job-adapter.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { newJobFault } from '../../../adapters/jobs/new-job.ts';
import { PAYLOAD_WRAPPER } from '../../../adapters/jobs/panda/payload-wrapper.ts';
import { eventually, eventuallyTrue } from '../../doubles/eventually.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { AGENT, openWorld, outputsOf, stored, USAGE, type World, type WorldOptions } from './panda-world.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const open: (() => Promise<void>)[] = [];
async function world(options?: WorldOptions): Promise<World> {
  const made = await openWorld(options);
  open.push(() => made.close());
  return made;
}
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

const state = (job: { readonly state?: string }): string => job.state ?? '';

describe.each(['v1', 'legacy'] as const)('a job of PanDA, by the API %s alone', (api) => {
  const only: WorldOptions = { panda: { dialects: [api] }, options: { api } };

  it('goes from submission to a registered output', async () => {
    const { panda, clock, adapter, accepted, inputs } = await world(only);
    const url = panda.serve('/trf/user/hello.sh', '#!/bin/sh\necho hello\n');
    const [id = 0] = panda.submit({ transformation: url, parameters: "--text 'a b'", taskId: 77 });
    const job = await accepted();
    expect(newJobFault(job)).toBeUndefined();
    expect(job.description.arguments.slice(1)).toEqual(['./hello.sh', '--text', 'a b']);
    expect([...inputs.values()].map(String)).toContain(PAYLOAD_WRAPPER);
    expect(panda.job(id).state).toBe('starting');
    await adapter.started(job.job, 1, AGENT, state(job));
    expect(panda.job(id)).toMatchObject({ state: 'running', fields: { node: AGENT } });
    expect(await adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job))).toBe('ok');
    expect(panda.job(id).state).toBe('holding');
    await clock.run(1000);
    expect(panda.job(id).history).toEqual([
      'activated',
      'sent',
      'starting',
      'running',
      'holding',
      'finished',
    ]);
    expect(panda.job(id).fields['end_time']).toMatch(/^2026-01-01 00:00:0\d$/u);
  });

  it('ends failed with the code and the log of its payload', async () => {
    const { panda, clock, adapter, accepted } = await world(only);
    const [id = 0] = panda.submit({});
    const job = await accepted();
    await adapter.started(job.job, 1, AGENT, state(job));
    const attempt = {
      attempt: 1,
      reason: 'exit 65',
      logTail: 'boom',
      exit: { kind: 'exited', code: 65 },
    } as const;
    await adapter.failed(job.job, 'failed', 'exit 65', [attempt], state(job));
    await clock.run(1000);
    expect(panda.job(id)).toMatchObject({
      state: 'failed',
      fields: { pilot_error_code: 1305, trans_exit_code: 65, pilot_log: 'boom' },
    });
  });

  it('hears of a kill at its next heartbeat, and ends cancelled', async () => {
    const { panda, clock, adapter, accepted, work } = await world(only);
    const [id = 0] = panda.submit({});
    const job = await accepted();
    await adapter.started(job.job, 1, AGENT, state(job));
    panda.table.kill(id);
    await clock.run(20 * MINUTE_MS);
    await eventuallyTrue(
      'the kill',
      () => work.some((news) => news.kind === 'kill' && news.job === job.job),
      5000,
    );
    await adapter.failed(job.job, 'cancelled', 'as asked', [], state(job));
    await clock.run(1000);
    expect(panda.job(id)).toMatchObject({ state: 'cancelled', fields: { pilot_error_code: 1144 } });
  });

  it('is told in bulk where many end at once, and each of them right', async () => {
    const { panda, adapter } = await world(only);
    const ids = panda.submit(...Array.from({ length: 20 }, () => ({})));
    const { jobs } = await adapter.fetch('main', 64, []);
    expect(jobs).toHaveLength(20);
    const before = panda.requests();
    await Promise.all(jobs.map((job) => adapter.started(job.job, 1, AGENT, state(job))));
    await Promise.all(jobs.map((job) => adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job))));
    expect(ids.map((id) => panda.job(id).state)).toEqual(ids.map(() => 'holding'));
    expect(panda.requests() - before).toBeLessThan(12);
  });

  it('asks PanDA no further than there is room, and knows none of another queue', async () => {
    const { panda, adapter } = await world(only);
    panda.submit({}, {}, {}, { site: 'ELSEWHERE' });
    expect((await adapter.fetch('main', 2, [])).jobs).toHaveLength(2);
    expect(panda.table.jobs().filter((job) => job.state === 'starting')).toHaveLength(2);
    expect(await adapter.fetch('unknown', 2, [])).toEqual({ jobs: [], more: false });
  });
});

describe('the output report', () => {
  it('has what storage computed, whatever anybody else says', async () => {
    const { panda, adapter, accepted } = await world();
    const [id = 0] = panda.submit({});
    const job = await accepted();
    await adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job));
    const report = JSON.parse(panda.job(id).report) as Record<string, Record<string, unknown>>;
    for (const { name, size, adler32 } of outputsOf(job))
      expect(report[name]).toMatchObject({
        fsize: size,
        adler32,
        endpoint: 'CP_DISK',
        guid: expect.any(String),
      });
    expect(report[`user.cp.test.${id}.log.tgz`]?.['guid']).toBe(
      panda.job(id).spec.files.find((file) => file.type === 'log')?.guid,
    );
  });

  it('is never sent without Adler-32: the setting is asked for, and the job waits', async () => {
    const { panda, adapter, accepted } = await world();
    const [id = 0] = panda.submit({});
    const job = await accepted();
    const without = outputsOf(job).map(({ name, size, sha256 }) => ({ name, size, sha256 }));
    await expect(adapter.finished(job.job, 1, without, USAGE, state(job))).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
    });
    expect(panda.job(id).state).toBe('starting');
    expect(await adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job))).toBe('ok');
  });

  it('is none with an empty output or without one: the job fails in PanDA too', async () => {
    const { panda, adapter, clock, accepted } = await world();
    const [first = 0, second = 0] = panda.submit({}, {});
    const one = await accepted();
    const empty = stored({ ...Object.fromEntries(one.description.outputs.map(({ name }) => [name, ''])) });
    expect(await adapter.finished(one.job, 1, empty, USAGE, state(one))).toBe('refused');
    const two = await accepted();
    expect(await adapter.finished(two.job, 1, [], USAGE, state(two))).toBe('refused');
    await clock.run(1000);
    expect(panda.job(first)).toMatchObject({ state: 'failed', fields: { pilot_error_code: 1191 } });
    expect(panda.job(second)).toMatchObject({ state: 'failed', fields: { pilot_error_code: 1165 } });
  });
});

describe('whatever is repeated, late, or lost', () => {
  it('a last word whose answer was lost is asked again, and counts once', async () => {
    const { panda, adapter, clock, accepted } = await world();
    const [id = 0] = panda.submit({});
    const job = await accepted();
    panda.setFaults({ lostAnswers: 1, methods: ['update_job'] });
    const finish = (): Promise<Finished> => adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job));
    await expect(finish()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(await finish()).toBe('ok');
    expect(await finish()).toBe('ok');
    await clock.run(1000);
    expect(await finish()).toBe('ok');
    expect(panda.job(id).state).toBe('finished');
  });

  it('a result that comes after the server tried again elsewhere is refused, and does not touch the new attempt', async () => {
    const { panda, adapter, accepted } = await world();
    const [id = 0] = panda.submit({});
    const job = await accepted();
    panda.table.retry(id);
    expect(await adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job))).toBe('refused');
    expect(panda.job(id)).toMatchObject({ state: 'activated', attempt: 2, report: '' });
    const again = await accepted();
    expect(again.job).not.toBe(job.job);
    expect(await adapter.finished(again.job, 1, outputsOf(again), USAGE, state(again))).toBe('ok');
  });

  it('news of an attempt that comes after the end starts nothing', async () => {
    const { panda, adapter, clock, accepted } = await world();
    const [id = 0] = panda.submit({});
    const job = await accepted();
    await adapter.finished(job.job, 2, outputsOf(job), USAGE, state(job));
    await adapter.started(job.job, 1, AGENT, state(job));
    await adapter.renewed(job.job, 1, 0.5, state(job));
    await adapter.released(job.job, 1, 'lost', state(job));
    await clock.run(HOUR_MS);
    expect(panda.job(id).state).toBe('finished');
    expect(panda.requests('pilot/update_jobs_bulk')).toBe(0);
  });

  it('an answer to a fetch that was lost hands the same jobs over again, also by another process', async () => {
    const directory = await temporaryDirectory('panda');
    open.push(() => removeDirectory(directory));
    const made = await world({ takenFile: join(directory, 'taken-jobs.jsonl') });
    made.panda.submit({}, {});
    const first = await made.adapter.fetch('main', 2, []);
    expect((await made.adapter.fetch('main', 2, [])).jobs).toEqual([]);
    await made.clock.run(10_001);
    expect((await made.adapter.fetch('main', 2, [])).jobs).toEqual(first.jobs);
    await made.reopen();
    const again = await eventually(
      'the jobs of the process before',
      async () => {
        const { jobs } = await made.adapter.fetch('main', 2, []);
        return jobs.length > 0 ? jobs : undefined;
      },
      5000,
    );
    expect(first.jobs).toEqual(expect.arrayContaining([...again]));
    await made.adapter.fetch(
      'main',
      0,
      first.jobs.map(({ job }) => job),
    );
    await made.reopen();
    expect((await made.adapter.fetch('main', 2, [])).jobs).toEqual([]);
    expect(made.panda.requests('pilot/acquire_jobs')).toBeLessThanOrEqual(5);
  });

  it("a job that waits for another agent after its first was lost is PanDA's as well, and its failure has a code of its own", async () => {
    const { panda, adapter, clock, accepted } = await world();
    const [id = 0] = panda.submit({});
    const job = await accepted();
    await adapter.started(job.job, 1, AGENT, state(job));
    await adapter.released(job.job, 1, 'lease ended', state(job));
    for (let beat = 0; beat < 8; beat++) await passed({ panda, clock });
    expect(panda.job(id).state).toBe('running');
    await adapter.failed(job.job, 'failed', 'the lease ended too often', [], state(job));
    await clock.run(1000);
    expect(panda.job(id)).toMatchObject({ state: 'failed', fields: { pilot_error_code: 1379 } });
  });

  it('heartbeats keep a job for eight hours, and a job that nobody speaks of is given up to the watcher', async () => {
    const { panda, adapter, clock, accepted } = await world();
    const [id = 0, other = 0] = panda.submit({}, {});
    const job = await accepted();
    const silent = await accepted();
    await adapter.started(job.job, 1, AGENT, state(job));
    await adapter.started(silent.job, 1, AGENT, state(silent));
    for (let beat = 0; beat < 24; beat++) {
      await adapter.renewed(job.job, 1, 0.1, state(job));
      await passed({ panda, clock });
    }
    expect(panda.job(id).state).toBe('running');
    expect(panda.job(other)).toMatchObject({ state: 'failed', errors: { jobDispatcherErrorCode: 100 } });
  });
});

/** Twenty minutes, and the heartbeat at their end was heard. */
async function passed({ panda, clock }: Pick<World, 'panda' | 'clock'>): Promise<void> {
  const before = panda.requests();
  await clock.run(20 * MINUTE_MS);
  await eventuallyTrue('a heartbeat', () => panda.requests() > before, 5000);
}
