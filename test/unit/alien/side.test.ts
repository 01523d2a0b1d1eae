import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AlienWorld, alienWorld, PACKAGE, usage } from './alien-world.ts';

const AGENT = 'b'.repeat(26);
const OUT = '/alice/cern.ch/user/v/vol/out';
const path = new URL('../../../adapters/jobs/alien/side/side.schema.json', import.meta.url);
const schema = JSON.parse(readFileSync(path, 'utf8')) as { readonly $defs: Readonly<Record<string, object>> };

describe('a job of JAliEn, by the side process', () => {
  let world: AlienWorld;
  beforeEach(async () => {
    world = await alienWorld({ hasSide: true });
  });
  afterEach(async () => world.close());

  it('goes to DONE with its outputs, members of archives included, registered before', async () => {
    const id = world.submit(
      'OutputArchive = {"logs.zip:stdout,stderr@disk=2"}; OutputFile = {"*.root@disk=1"};',
    );
    const job = await world.fetchOne();
    await world.adapter().started(job.job, 1, AGENT, job.state!);
    expect(world.row(id).status).toBe('RUNNING');
    await world.adapter().renewed(job.job, 1, 0.5, job.state!);
    await world.clock.run(300_000);
    await expect.poll(() => world.row(id).procInfo.split(' ')).toHaveLength(13);
    const manifest = await world.run(job, 1);
    const finish = (attempt: number) =>
      world.adapter().finished(job.job, attempt, manifest, usage, job.state!);
    expect(await finish(1)).toBe('ok');
    expect(world.row(id)).toMatchObject({
      status: 'DONE',
      resultsJdl: expect.stringContaining('SuccessfullyBookedPFNs'),
    });
    expect(await finish(1)).toBe('ok');
    expect(await finish(2)).toBe('refused');
    const guid = world.jalien?.files.file(`${OUT}/logs.zip`)?.guid;
    expect(world.side?.members.get(`${OUT}/stdout`)).toBe(`guid:///${guid}?ZIP=stdout`);
    const states = world
      .row(id)
      .log.flatMap(({ tag, text }) => (tag === 'state' ? (/ to (\w+)/.exec(text)?.[1] ?? []) : []));
    expect(states).toEqual(['WAITING', 'ASSIGNED', 'STARTED', 'RUNNING', 'SAVING', 'DONE']);
  });

  it('asks and is answered as the schema says', async () => {
    world.submit(`Packages = {"${PACKAGE}"}; OutputFile = {"stdout"};`);
    const job = await world.fetchOne();
    await world.adapter().started(job.job, 1, AGENT, job.state!);
    await world.adapter().finished(job.job, 1, await world.run(job, 1), usage, job.state!);
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true }).addSchema(schema);
    const calls = world.side?.calls ?? [];
    expect(new Set(calls.map(({ operation }) => operation))).toEqual(
      new Set(['match', 'status', 'log', 'results', 'envelope', 'register']),
    );
    for (const { operation, body, answer } of calls) {
      for (const [name, value] of [
        [`${operation}Request`, body],
        [`${operation}Answer`, answer],
      ] as const) {
        const validate = ajv.getSchema(`side.schema.json#/$defs/${name}`);
        expect([name, validate?.(value), validate?.errors]).toEqual([name, true, null]);
      }
    }
  });

  it.each([
    [{ code: -1, error: 'principal missing' }],
    [{ code: -2, error: 'Nothing to run :-(' }],
    [{ code: -3, error: 'packages', packages: ['VO_ALICE@Nothing::v1'] }],
    [{ code: -6, error: 'taken meanwhile' }],
    [{ code: -7, error: 'details not read' }],
    [{ code: 0, error: 'Queue is not open! Check queueinfo' }],
  ])('takes %j for no job, and asks again after its interval', async (answer) => {
    world.submit();
    world.side?.answerMatch(answer);
    expect((await world.adapter().fetch('main', 1, [])).jobs).toEqual([]);
    expect((await world.adapter().fetch('main', 1, [])).jobs).toEqual([]);
    world.clock.advance(15_001);
    expect((await world.adapter().fetch('main', 1, [])).jobs).toHaveLength(1);
  });

  it.each([
    [{ code: 1 }],
    [{ code: 2 }],
    [{}],
    [{ code: 1, job: { queueId: '-1', token: 't', user: 'u', jdl: '' } }],
  ])('takes %j for no answer', async (answer) => {
    world.side?.answerMatch(answer);
    await expect(world.adapter().fetch('main', 1, [])).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('ends a job that its user killed, and does not touch the next try of one that was submitted again', async () => {
    const id = world.submit();
    const job = await world.fetchOne();
    await world.adapter().started(job.job, 1, AGENT, job.state!);
    world.jalien?.queue.kill(id);
    await world.clock.run(300_000);
    await expect
      .poll(() => world.heard)
      .toContainEqual({ kind: 'kill', job: job.job, reason: expect.any(String) });
    world.jalien?.queue.resubmit(id);
    world.clock.advance(15_001);
    const again = await world.fetchOne();
    expect(again.job).not.toBe(job.job);
    await world.adapter().failed(job.job, 'cancelled', 'as asked', [], job.state!);
    expect(world.row(id).status).toBe('ASSIGNED');
  });
});

it('the reference stub of the side process, in Java, has at most 50 lines that can be read', () => {
  const stub = new URL('../../../adapters/jobs/alien/side/SideStub.java', import.meta.url);
  const lines = readFileSync(stub, 'utf8').trimEnd().split('\n');
  expect(lines.length).toBeLessThanOrEqual(50);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(180);
});
