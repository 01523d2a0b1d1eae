import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newJobFault } from '../../../adapters/jobs/new-job.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { type CmsWorld, openCmsWorld, OTHER, VOLUNTEER } from './world.ts';

const JOB = '3f2504e0-4f89-11d3-9a0c-0305e82c3301';
const USAGE = { wallSeconds: 60, cpuSeconds: 50, memoryMiB: 500, diskMiB: 10 };

describe('the queue of CMS@home', () => {
  let world: CmsWorld;
  beforeEach(async () => {
    world = await openCmsWorld();
  });
  afterEach(async () => world.close());

  const take = async (as = VOLUNTEER): Promise<string | number> => {
    const answer = await world.call('GET', '/boinc-client/get-job.cgi', { as });
    return answer.ok ? answer.text() : answer.status;
  };
  const give = async (id: string, as = VOLUNTEER, body = 'archive'): Promise<number> => {
    const sent = await world.call('PUT', `/myfed/t4t-boinc/output/${id}.tgz?userdata=exitcode=0&vmid=1`, {
      as,
      body,
    });
    await world.call('PUT', '/boinc-client/put-jobout.cgi', { as, form: id });
    return sent.status;
  };
  const collect = async (): Promise<string | number> => {
    const answer = await world.call('GET', '/job-queue/get-jobout.cgi', { isProducer: true });
    return answer.ok ? answer.text() : answer.status;
  };
  const size = async (which: string): Promise<string> =>
    (await world.call('GET', `/job-queue/${which}.cgi`, { isProducer: true })).text();

  it('serves an old client from the job to its output, and whoever put the job in', async () => {
    await world.put(JOB, '#!/bin/sh\necho 42\n');
    expect(await size('query-job')).toBe('size: 1\n');
    const taken = await world.call('GET', '/boinc-client/get-job.cgi', { as: VOLUNTEER });
    expect([taken.status, taken.headers.get('content-type'), await taken.text()]).toEqual([
      200,
      'application/json',
      `${JOB}\n`,
    ]);
    const script = await world.call('GET', `/myfed/t4t-boinc/input/${JOB}`, { as: VOLUNTEER });
    expect(await script.text()).toBe('#!/bin/sh\necho 42\n');
    expect(await give(JOB)).toBe(201);
    expect(await size('query-jobout')).toBe('size: 1\n');
    expect(await collect()).toBe(`${JOB}\n`);
    const output = await world.call('GET', `/myfed/t4t-boinc/output/${JOB}.tgz`, { isProducer: true });
    expect(await output.text()).toBe('archive');
    // It counts as collected once its last byte is sent.
    await eventuallyTrue(
      'it to be collected',
      async () => (await size('query-jobout')) === 'size: 0\n',
      20_000,
    );
    expect(await collect()).toBe(404);
  });

  it('answers 404 where nothing waits, and knows volunteers by their authenticator alone', async () => {
    expect(await take()).toBe(404);
    expect(await take('4711:ffffffffffffffff0000000000000000')).toBe(401);
    expect(await take('4713:aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb')).toBe(401);
    expect(await take('volunteer:x')).toBe(401);
    const none = await world.call('GET', '/boinc-client/get-job.cgi');
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="BOINC"']);
    expect((await world.call('GET', '/job-queue/query-job.cgi', { as: VOLUNTEER })).status).toBe(403);
  });

  it('serves no volunteer where it was not told to', async () => {
    await world.reopen({ servesVolunteers: false });
    await world.put(JOB);
    expect(await take()).toBe(404);
    expect((await world.call('GET', `/myfed/t4t-boinc/input/${JOB}`, { as: VOLUNTEER })).status).toBe(404);
    expect(await size('query-job')).toBe('size: 1\n');
  });

  it('does not lose a job that was given away: it waits again after its lease, and the one before has it no more', async () => {
    await world.put(JOB);
    expect(await take()).toBe(`${JOB}\n`);
    await world.reopen();
    expect(await take(OTHER)).toBe(404);
    world.clock.jumpWall(86_400_001);
    expect(await take(OTHER)).toBe(`${JOB}\n`);
    expect(await give(JOB, VOLUNTEER, 'late')).toBe(403);
    expect(await collect()).toBe(404);
    expect(await give(JOB, OTHER)).toBe(201);
    expect(await collect()).toBe(`${JOB}\n`);
  });

  it('gives a result again until somebody has it', async () => {
    await world.put(JOB);
    await take();
    await give(JOB);
    expect(await collect()).toBe(`${JOB}\n`);
    expect(await collect()).toBe(404);
    world.clock.jumpWall(3_600_001);
    expect(await collect()).toBe(`${JOB}\n`);
  });

  it('says that all is well whatever is put, as its scripts did, and does only what it may', async () => {
    await world.put(JOB);
    await take();
    const scripts = [
      world.call('PUT', '/boinc-client/put-jobout.cgi', { as: VOLUNTEER, form: JOB }),
      world.call('PUT', '/boinc-client/put-jobout.cgi', { as: VOLUNTEER, form: '../../etc/passwd' }),
      world.call('PUT', '/boinc-client/put-jobout.cgi', { as: OTHER, form: JOB }),
      world.call('PUT', '/job-queue/put-job.cgi', {
        isProducer: true,
        body: new URLSearchParams({ userdata: 'urlencoded' }),
      }),
      world.call('GET', '/job-queue/put-job.cgi', { isProducer: true }),
      world.call('PUT', '/job-queue/put-job.cgi', { isProducer: true, form: '../x' }),
      world.call('PUT', '/job-queue/put-job.cgi', { isProducer: true, form: 'x'.repeat(70_000) }),
    ];
    for (const answer of await Promise.all(scripts))
      expect([answer.status, await answer.text()]).toEqual([200, '']);
    expect(await size('query-job')).toBe('size: 0\n');
    expect(await size('query-jobout')).toBe('size: 0\n');
  });

  it('lets a volunteer read and write nothing but his own job', async () => {
    await world.put(JOB);
    await take();
    await world.put('other-job');
    const as = VOLUNTEER;
    const statuses = [
      ['GET', '/myfed/t4t-boinc/input/other-job'],
      ['GET', `/myfed/t4t-boinc/output/${JOB}.tgz`],
      ['PUT', `/myfed/t4t-boinc/input/${JOB}`],
      ['PUT', '/myfed/t4t-boinc/output/other-job.tgz'],
      ['DELETE', `/myfed/t4t-boinc/input/${JOB}`],
    ] as const;
    for (const [method, path] of statuses)
      expect([
        path,
        (await world.call(method, path, { as, ...(method === 'PUT' && { body: 'x' }) })).status,
      ]).toEqual([path, 403]);
    for (const name of ['..%2Fcms-at-home.sqlite', '%2e%2e', '.hidden', 'a%00b'])
      expect((await world.call('GET', `/myfed/t4t-boinc/input/${name}`, { as })).status).toBe(404);
  });

  it('is bounded: jobs in all, jobs of one volunteer, bytes of an output', async () => {
    await world.reopen({ maxJobs: 3, maxPerVolunteer: 2, maxOutputMiB: 1 });
    for (const id of ['a', 'b', 'c']) await world.put(id);
    expect((await world.call('PUT', '/job-queue/put-job.cgi', { isProducer: true, form: 'd' })).status).toBe(
      503,
    );
    const first = String(await take()).trim();
    expect(await take()).not.toBe(404);
    expect(await take()).toBe(404);
    expect(await take(OTHER)).not.toBe(404);
    expect(await give(first, VOLUNTEER, 'x'.repeat(1024 * 1024 + 1))).toBe(413);
    expect(await collect()).toBe(404);
  });

  it('hands its jobs to the broker as well, and each to one of both', async () => {
    await world.put('a');
    await world.put('b');
    const taken = String(await take()).trim();
    const { jobs } = await world.adapter.fetch('cms', 8, []);
    expect(jobs.map(({ ref }) => ref)).toEqual(['a', 'b'].filter((id) => id !== taken));
    const [job] = jobs;
    expect(newJobFault(job!)).toBeUndefined();
    expect(world.bridge.inputs.get(job!.description.inputs[1]!.sha256)?.toString()).toContain('echo hello');
    expect(await take(OTHER)).toBe(404);
    const output = world.bridge.leave(job!.job, 1, 'output.tgz', 'of an agent');
    expect(await world.adapter.finished(job!.job, 1, [output], USAGE, job!.state ?? '')).toBe('ok');
    expect(await world.adapter.finished(job!.job, 1, [output], USAGE, job!.state ?? '')).toBe('ok');
    expect(await world.adapter.finished(job!.job, 2, [output], USAGE, job!.state ?? '')).toBe('refused');
    expect(await collect()).toBe(`${job!.ref}\n`);
    const got = await world.call('GET', `/myfed/t4t-boinc/output/${job!.ref}.tgz`, { isProducer: true });
    expect(await got.text()).toBe('of an agent');
    expect(await world.adapter.finished(job!.job, 1, [output], USAGE, job!.state ?? '')).toBe('ok');
  });

  it('is another job when it is put in again after it failed', async () => {
    await world.put(JOB);
    const [first] = (await world.adapter.fetch('cms', 1, [])).jobs;
    await world.adapter.failed(first!.job, 'failed', 'lost too often', [], first!.state ?? '');
    expect(await size('query-job')).toBe('size: 0\n');
    await world.put(JOB);
    const [second] = (await world.adapter.fetch('cms', 1, [])).jobs;
    expect(second!.job).not.toBe(first!.job);
    await world.adapter.failed(first!.job, 'failed', 'late', [], first!.state ?? '');
    expect(world.adapter.unfinished()).toBe(1);
    expect(await world.adapter.finished(first!.job, 1, [], USAGE, first!.state ?? '')).toBe('refused');
  });

  it('hands over again what was not accepted, also after a restart, and takes strangers’ news without harm', async () => {
    await world.put(JOB);
    const [first] = (await world.adapter.fetch('cms', 4, [])).jobs;
    expect((await world.adapter.fetch('cms', 4, [])).jobs).toEqual([]);
    world.clock.advance(10_001);
    expect((await world.adapter.fetch('cms', 4, [])).jobs.length).toBe(1);
    await world.reopen();
    expect((await world.adapter.fetch('cms', 4, [])).jobs[0]?.job).toBe(first!.job);
    for (const state of ['', 'x', `${JOB} 2`, '../x 1']) {
      await world.adapter.failed('z'.repeat(26), 'failed', 'gone', [], state);
      expect(await world.adapter.finished('z'.repeat(26), 1, [], USAGE, state)).toBe('refused');
    }
    expect(world.adapter.unfinished()).toBe(1);
  });
});
