import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NewJob } from '../../adapters/jobs/job-adapter.ts';
import type { FaultRule } from '../doubles/crab/faults.ts';
import { createCrabUser } from '../unit/crab/crab-user.ts';
import { type CrabWorld, openCrabWorld, REPORTED_EVENTS } from '../unit/crab/crab-world.ts';

describe('CRAB adapter, over longer times and more faults', () => {
  let world: CrabWorld;
  beforeEach(async () => {
    world = await openCrabWorld();
  });
  afterEach(async () => world.close());

  const { statusOf, submitted, oneJob, fail } = createCrabUser(() => world);

  it('comes to the same end whatever answers are lost, cut, doubled, pages or errors', async () => {
    const faults: readonly (readonly [string, FaultRule])[] = [
      ['the first call is answered by a page', { api: 'workflowdb', fault: { kind: 'html' } }],
      ['the rows are cut', { api: 'workflowdb', method: 'GET', fault: { kind: 'cut' }, times: 2 }],
      ['the rows come twice', { api: 'workflowdb', method: 'GET', fault: { kind: 'twice' }, times: 9 }],
      ['the answer to a lock is lost', { subresource: 'process', fault: { kind: 'lost' }, times: 2 }],
      ['the answer to the state is lost', { subresource: 'state', fault: { kind: 'lost' } }],
      ['the answer to the end is lost', { subresource: 'success', fault: { kind: 'lost' } }],
      [
        'the end is said with 500 after it was done',
        { subresource: 'success', fault: { kind: 'status', status: 500, done: true } },
      ],
      [
        'the front end starts anew',
        { api: 'workflowdb', fault: { kind: 'status', status: 403, done: false }, times: 3 },
      ],
      [
        'an answer is larger than any',
        { api: 'workflowdb', method: 'GET', fault: { kind: 'huge', bytes: 1100 * 1024 } },
      ],
    ];
    for (const [what, rule] of faults) {
      world.clock.jumpWall(1000);
      world.crab.faults.clear();
      world.crab.faults.add(rule);
      const task = await submitted();
      for (let turn = 0; turn < 3; turn++) {
        world.clock.advance(300_000);
        await world.turn();
      }
      expect([what, statusOf(task)]).toEqual([what, 'SUBMITTED']);
      expect([what, (await world.take()).length]).toEqual([what, 1]);
      expect(await world.states(task)).toEqual(['idle']);
    }
  });

  it('tries again, later and later, what may pass, and gives up after five times', async () => {
    world.crab.faults.add({
      api: 'cache',
      subresource: 'download',
      fault: { kind: 'status', status: 503, done: false },
      times: 5,
    });
    const task = await submitted();
    for (const minutes of [1, 2, 3]) {
      world.clock.advance(minutes * 60_000);
      await world.turn();
      expect(statusOf(task)).toBe('QUEUED');
    }
    world.clock.advance(240_000);
    await world.turn();
    expect(statusOf(task)).toBe('SUBMITFAILED');
  });

  it('hands over nothing of a task that CRAB does not know as submitted', async () => {
    world.crab.faults.add({
      subresource: 'success',
      fault: { kind: 'status', status: 503, done: false },
      times: 2,
    });
    const task = await submitted();
    expect((await world.take()).length).toBe(0);
    await world.reopen();
    await world.turn();
    expect((await world.take()).length).toBe(0);
    await world.reopen();
    await world.turn();
    expect(statusOf(task)).toBe('SUBMITTED');
    expect((await world.take()).length).toBe(1);
  });

  it('runs a job again a quarter of an hour after a code that may pass, as a new job, three times in all', async () => {
    const { task, job } = await oneJob();
    const ids = [job.job];
    let current = job;
    for (let retry = 0; retry < 2; retry++) {
      expect(await world.finish(current, { exitCode: 8001 })).toBe('refused');
      expect(await world.finish(current, { exitCode: 8001 })).toBe('refused');
      expect(await world.states(task)).toEqual(['cooloff']);
      world.clock.advance(899_000);
      expect((await world.take()).length).toBe(0);
      world.clock.advance(1_000);
      [current] = (await world.take()) as [NewJob];
      ids.push(current.job);
      expect(current.description.environment['CRAB_Retry']).toBe(String(retry + 1));
    }
    await world.finish(current, { exitCode: 8001 });
    expect(await world.states(task)).toEqual(['failed']);
    expect(new Set(ids).size).toBe(3);
  });

  it('gives more memory after 50115, and more time after 60403', async () => {
    const { job } = await oneJob();
    await world.finish(job, { exitCode: 50_115 });
    world.clock.advance(900_000);
    const [second] = await world.take();
    expect(second!.description.limits).toMatchObject({ memoryMiB: 2600, wallSeconds: 75_000 });
    await world.finish(second!, { exitCode: 60_403 });
    world.clock.advance(900_000);
    const [third] = await world.take();
    expect(third!.description.limits).toMatchObject({ memoryMiB: 2600, wallSeconds: 97_500 });
  });

  it('judges a try that left nothing by its exit', async () => {
    const { task, job } = await oneJob();
    await fail(job, { kind: 'exited', code: 134 });
    expect(await world.states(task)).toEqual(['cooloff']);
    world.clock.advance(900_000);
    const [second] = await world.take();
    await fail(second!);
    expect(await world.states(task)).toEqual(['cooloff']);
    world.clock.advance(900_000);
    const [third] = await world.take();
    await fail(third!, { kind: 'exited', code: 2 });
    expect(await world.states(task)).toEqual(['failed']);
  });

  it('RESUBMIT runs failed and killed jobs again, and those alone', async () => {
    const { task, job } = await oneJob({ algoargs: 2 });
    await world.finish(job, { exitCode: 50_660 });
    await world.client.resubmit(task);
    await world.turn();
    expect(statusOf(task)).toBe('SUBMITTED');
    const again = await world.take();
    expect(again.map(({ ref }) => ref)).toContain(`${task}/1`);
    const first = again.find(({ ref }) => ref === `${task}/1`);
    expect(first!.job).not.toBe(job.job);
    expect(await world.finish(first!)).toEqual({ events: REPORTED_EVENTS });
    await world.client.kill(task);
    await world.turn();
    await world.client.resubmit(task, ['3']);
    await world.turn();
    expect((await world.take()).map(({ ref }) => ref)).toEqual([`${task}/3`]);
    const states = await world.states(task);
    expect(states[0]).toBe('transferring');
    expect(states.filter((state) => state === 'killed').length).toBe(3);
  });

  it('a second try of a job whose first result was being moved updates the transfer', async () => {
    const { task, job } = await oneJob();
    await world.finish(job);
    world.crab.transfers.set(world.crab.transfers.all()[0]!.id, 'FAILED');
    await world.lookAtTransfers();
    expect(await world.states(task)).toEqual(['failed']);
    await world.client.resubmit(task);
    world.clock.advance(1000);
    await world.turn();
    const [second] = await world.take();
    expect(await world.finish(second!)).toEqual({ events: REPORTED_EVENTS });
    expect(world.crab.transfers.all()).toMatchObject([{ state: 'NEW', job_retry_count: 1 }]);
  });

  it.each([
    ['the metadata', { api: 'filemetadata', method: 'PUT' }],
    ['the transfer', { api: 'fileusertransfers', method: 'PUT' }],
  ])(
    'tells again without harm where the answer to %s is lost, refused for a while, or a page',
    async (_, call) => {
      for (const fault of [
        { kind: 'lost' },
        { kind: 'status', status: 503, done: true },
        { kind: 'html' },
        { kind: 'cut' },
      ] as const) {
        const { task, job } = await oneJob();
        world.crab.faults.add({ ...call, fault });
        const first = await world.finish(job).catch(() => 'rejected');
        expect(await world.finish(job)).toEqual({ events: REPORTED_EVENTS });
        expect([{ events: REPORTED_EVENTS }, 'rejected']).toContainEqual(first);
        expect(world.crab.files.all().filter(({ taskname }) => taskname === task).length).toBe(1);
        expect(world.crab.transfers.all().filter(({ taskname }) => taskname === task).length).toBe(1);
        world.clock.advance(1000);
      }
    },
  );
});
