import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AlienWorld, alienWorld, PACKAGE, usage } from './alien-world.ts';

const AGENT = 'b'.repeat(26);
const OUT = '/alice/cern.ch/user/v/vol/out';

describe('a job of classic AliEn', () => {
  let world: AlienWorld;
  beforeEach(async () => {
    world = await alienWorld();
  });
  afterEach(async () => world.close());

  it('goes from WAITING to DONE through every state once, its outputs in the catalogue', async () => {
    const id = world.submit(
      'Arguments = "$1"; OutputArchive = {"logs.zip:stdout,stderr@disk=1"}; OutputFile = {"*.root@disk=1"};',
      ['you'],
    );
    const job = await world.fetchOne();
    expect(job).toMatchObject({ ref: String(id), owner: 'vol', retries: 4 });
    const adapter = world.adapter();
    await adapter.started(job.job, 1, AGENT, job.state!);
    expect(world.row(id).status).toBe('RUNNING');
    const manifest = await world.run(job, 1);
    expect(await adapter.finished(job.job, 1, manifest, usage, job.state!)).toBe('ok');
    expect(world.row(id).status).toBe('SAVED');
    expect(await adapter.finished(job.job, 1, manifest, usage, job.state!)).toBe('ok');
    world.clock.advance(10_000);
    expect(world.row(id).status).toBe('DONE');
    expect(await world.read(`${OUT}/result.root`)).toBe('data\n');
    expect(await world.read(`${OUT}/logs.zip`)).toContain('hello you');
    expect(await world.read(`${OUT}/logs.zip.members`)).toMatch(/\/out\/stdout###10###[0-9a-f]{32}###0/);
    const states = world
      .row(id)
      .log.flatMap(({ tag, text }) => (tag === 'state' ? (/ to (\w+)/.exec(text)?.[1] ?? []) : []));
    expect(states).toEqual(['WAITING', 'ASSIGNED', 'STARTED', 'RUNNING', 'SAVING', 'SAVED', 'DONE']);
  });

  it('never goes back: a second attempt leaves it RUNNING', async () => {
    const id = world.submit();
    const job = await world.fetchOne();
    const adapter = world.adapter();
    await adapter.started(job.job, 1, AGENT, job.state!);
    await adapter.released(job.job, 1, 'lost', job.state!);
    await adapter.started(job.job, 2, AGENT, job.state!);
    expect(world.row(id).status).toBe('RUNNING');
    expect(
      world.row(id).log.filter(({ text }) => / to STARTED/.test(text) && !text.startsWith('FAILED')),
    ).toHaveLength(1);
    expect(
      world.row(id).log.some(({ text }) => text.includes('attempt 1 ended without a result (lost)')),
    ).toBe(true);
  });

  it('beats for as long as an agent renews, in thirteen fields', async () => {
    const id = world.submit();
    const job = await world.fetchOne();
    await world.adapter().started(job.job, 1, AGENT, job.state!);
    for (let beat = 1; beat <= 14; beat++) {
      await world.adapter().renewed(job.job, 1, 0.1, job.state!);
      await world.clock.run(300_000);
      await expect.poll(() => world.row(id).procInfo.split(' ')[1]).toBe(String(300 * beat - 1));
    }
    expect(world.row(id).status).toBe('RUNNING');
    expect(world.row(id).procInfo.split(' ')).toHaveLength(13);
    expect(world.row(id).procInfo).toMatch(/^01:09:59 4199 /);
  });

  it('brings a ZOMBIE back, and ends what has EXPIRED', async () => {
    const id = world.submit();
    const job = await world.fetchOne();
    await world.adapter().started(job.job, 1, AGENT, job.state!);
    world.double.inject('down');
    await world.clock.run(3_650_000);
    expect(world.row(id).status).toBe('ZOMBIE');
    world.double.heal();
    await world.adapter().renewed(job.job, 1, 0.5, job.state!);
    await world.clock.run(300_000);
    await expect.poll(() => world.row(id).status).toBe('RUNNING');
    world.double.inject('down');
    await world.clock.run(7_300_000);
    expect(world.row(id).status).toBe('EXPIRED');
    world.double.heal();
    await world.adapter().renewed(job.job, 1, 0.6, job.state!);
    await world.clock.run(300_000);
    const kill = { kind: 'kill', job: job.job, reason: expect.any(String) };
    await expect.poll(() => world.heard).toContainEqual(kill);
    const manifest = await world.run(job, 1);
    expect(await world.adapter().finished(job.job, 1, manifest, usage, job.state!)).toBe('refused');
    expect(world.row(id).status).toBe('EXPIRED');
  });

  it('asks again with packages that it has, and not for those that it lacks', async () => {
    world.submit(`Packages = {"${PACKAGE}"};`);
    expect((await world.fetchOne()).description.environment['ALIEN_PACKAGES']).toBe(PACKAGE);
    world.submit('Packages = {"VO_ALICE@Nothing::v1"};');
    expect((await world.adapter().fetch('main', 1, [])).jobs).toEqual([]);
  });

  it('asks a queue without jobs at most once in its interval, whoever fetches', async () => {
    const asked = (): number => world.double.calls.filter(({ method }) => method === 'getJobAgent').length;
    await world.adapter().fetch('main', 64, []);
    for (let turn = 0; turn < 10; turn++) await world.adapter().fetch('main', 64, []);
    expect(asked()).toBe(1);
    world.clock.advance(15_001);
    await world.adapter().fetch('main', 64, []);
    expect(asked()).toBe(2);
    world.double.queue.block('ALICE::VOLUNTEER::COPILOT', true);
    world.submit();
    world.clock.advance(15_001);
    expect((await world.adapter().fetch('main', 64, [])).jobs).toEqual([]);
    expect(asked()).toBe(3);
  });

  it('hands over again what no broker has, after 10 s and at once after a restart, and nothing else', async () => {
    world.submit();
    const [job] = (await world.adapter().fetch('main', 4, [])).jobs;
    expect((await world.adapter().fetch('main', 4, [])).jobs).toEqual([]);
    world.clock.advance(10_001);
    expect((await world.adapter().fetch('main', 4, [])).jobs.map((one) => one.job)).toEqual([job!.job]);
    await world.reopen();
    const [again] = (await world.adapter().fetch('main', 4, [])).jobs;
    expect({ ...again, state: '' }).toEqual({ ...job, state: '' });
    await world.adapter().fetch('main', 4, [job!.job]);
    await world.reopen();
    expect((await world.adapter().fetch('main', 4, [])).jobs).toEqual([]);
    await world.adapter().started(job!.job, 1, AGENT, job!.state!);
    expect(world.double.queue.rows()[0]?.status).toBe('RUNNING');
  });

  it.each([
    ['an executable that fails', '0', '3', '', 'ERROR_E'],
    ['a validation that fails', '1', '0', 'ValidationCommand = "check.sh";', 'ERROR_V'],
    ['a validation that cannot be run', '', '0', 'ValidationCommand = "broken.sh";', 'ERROR_VN'],
    ['an output that is missing', '0', '0', 'OutputFile = {"nothing.root"};', 'ERROR_SV'],
  ])('%s ends in its error, with its reason in the log', async (_, check, code, attributes, state) => {
    await world.put('/alice/cern.ch/user/v/vol/bin/check.sh', `#!/bin/sh\necho looked\nexit ${check || 0}\n`);
    await world.put('/alice/cern.ch/user/v/vol/bin/broken.sh', '#!/no/such/interpreter\n');
    const id = world.submit(`Arguments = "x ${code}"; OutputErrorE = {"err.zip:stdout"}; ${attributes}`);
    const job = await world.fetchOne();
    await world.adapter().started(job.job, 1, AGENT, job.state!);
    const manifest = await world.run(job, 1);
    expect(await world.adapter().finished(job.job, 1, manifest, usage, job.state!)).toBe('ok');
    expect(world.row(id).status).toBe(state);
    expect(world.row(id).log.some(({ tag, text }) => tag === 'error' && text.startsWith('Co-Pilot: '))).toBe(
      true,
    );
    const recycle = `/alice/cern.ch/user/v/vol/recycle/alien-job-${id}`;
    if (state === 'ERROR_E') expect(await world.read(`${recycle}/err.zip`)).toContain('hello x');
    if (state === 'ERROR_V') {
      expect(world.row(id).log.some(({ text }) => text.includes('validation: looked'))).toBe(true);
      expect(await world.read(`${recycle}/jalien_defarchNOSPEC.${id}`)).toContain('hello x');
    }
  });

  it('is submitted again by the queue as often as Retries says, as a new job', async () => {
    const id = world.submit('Arguments = "x 1"; Retries = 1;');
    const first = await world.fetchOne();
    await world.adapter().finished(first.job, 1, await world.run(first, 1), usage, first.state!);
    expect(world.row(id)).toMatchObject({ status: 'WAITING', resubmission: 1 });
    world.clock.advance(15_001);
    const second = await world.fetchOne();
    expect(second.ref).toBe(first.ref);
    expect(second.job).not.toBe(first.job);
    // Old news of the first do not touch the second.
    expect(await world.adapter().finished(first.job, 2, await world.run(first, 2), usage, first.state!)).toBe(
      'refused',
    );
    await world.adapter().failed(first.job, 'failed', 'late', [], first.state!);
    expect(world.row(id).status).toBe('ASSIGNED');
  });

  it.each([
    ['unbalanced quotes', 'Executable = "job.sh; TTL = 5;', undefined],
    ['no such executable', 'Executable = "nothing.sh";', 'ERROR_IB'],
    ['an executable that leads upwards', 'Executable = "/alice/../../etc/passwd";', 'ERROR_E'],
    [
      'an input that leads upwards',
      'Executable = "job.sh"; InputFile = {"LF:/alice/cern.ch/../../etc/passwd"};',
      'ERROR_E',
    ],
    ['an output that leads upwards', 'Executable = "job.sh"; OutputFile = {"../../x"};', 'ERROR_E'],
    ['a shell word in an output', 'Executable = "job.sh"; OutputFile = {"$(id)"};', 'ERROR_E'],
    ['an output directory with dots', 'Executable = "job.sh"; OutputDir = "/alice/../x";', 'ERROR_E'],
    ['two inputs of one name', 'Executable = "job.sh"; InputFile = {"LF:/a/x.C","LF:/b/x.C"};', 'ERROR_E'],
    ['more memory than hosts have', 'Executable = "job.sh"; MemorySize = "64GB";', 'ERROR_A'],
    [
      'requirements that no host here meets',
      'Executable = "job.sh"; Requirements = other.Magic == 7;',
      'ERROR_A',
    ],
    ['requirements that are no expression', 'Executable = "job.sh"; Requirements = (( other.TTL;', 'ERROR_E'],
    ['a time that is none', 'Executable = "job.sh"; TTL = "soon";', 'ERROR_E'],
  ])('goes back with a reason for %s', async (_, jdl, state) => {
    if (state === undefined) {
      expect(() => world.submit(jdl)).toThrow();
      return;
    }
    const id = world.submit(jdl);
    expect((await world.adapter().fetch('main', 4, [])).jobs).toEqual([]);
    expect(world.row(id).status).toBe(state);
    expect(world.row(id).log.some(({ tag }) => tag === 'error')).toBe(true);
  });

  it('passes arguments as words, never through a shell', async () => {
    await world.put('/alice/cern.ch/user/v/vol/bin/words.sh', '#!/bin/sh\nprintf "<%s>" "$@"\n');
    world.submit(
      'Executable = "words.sh"; Arguments = "a;id $(id) `id` * \'q q\' --"; OutputFile = {"stdout"}; OutputDir = "/alice/out";',
    );
    const job = await world.fetchOne();
    await world.adapter().finished(job.job, 1, await world.run(job, 1), usage, job.state!);
    expect(await world.read('/alice/out/stdout')).toBe("<a;id><$(id)><`id`><*><'q><q'><-->");
  });

  it.each(['lost', 'half', 'twice'] as const)('loses nothing where answers are %s', async (fault) => {
    const id = world.submit();
    const job = await world.fetchOne();
    const adapter = world.adapter();
    const manifest = await world.run(job, 1);
    world.double.inject(fault);
    await adapter.started(job.job, 1, AGENT, job.state!).catch(() => undefined);
    const first = await adapter.finished(job.job, 1, manifest, usage, job.state!).catch(() => 'again');
    world.double.heal();
    expect(['again', 'ok']).toContain(first);
    expect(await adapter.finished(job.job, 1, manifest, usage, job.state!)).toBe('ok');
    expect(await adapter.finished(job.job, 2, manifest, usage, job.state!)).toBe('refused');
    expect(world.row(id).status).toBe('SAVED');
  });

  it.each(['down', 'html', 'lie'] as const)(
    'takes nothing for a yes where the services are %s',
    async (fault) => {
      const id = world.submit();
      const job = await world.fetchOne();
      const manifest = await world.run(job, 1);
      world.double.inject(fault);
      await expect(world.adapter().finished(job.job, 1, manifest, usage, job.state!)).rejects.toMatchObject({
        code: 'UNREACHABLE',
      });
      world.clock.advance(15_001);
      await expect(world.adapter().fetch('main', 1, [])).rejects.toMatchObject({ code: 'UNREACHABLE' });
      world.double.heal();
      expect(await world.adapter().finished(job.job, 1, manifest, usage, job.state!)).toBe('ok');
      expect(world.row(id).status).toBe('SAVED');
    },
  );

  it('ends a job whose user killed it, and says so whenever the broker speaks of it', async () => {
    const id = world.submit();
    const job = await world.fetchOne();
    await world.adapter().started(job.job, 1, AGENT, job.state!);
    world.double.queue.kill(id);
    await world.clock.run(400_000);
    const kill = { kind: 'kill', job: job.job, reason: expect.any(String) };
    await expect.poll(() => world.heard).toContainEqual(kill);
    world.heard.length = 0;
    await world.adapter().renewed(job.job, 1, 0.1, job.state!);
    expect(world.heard).toContainEqual(kill);
    await world.adapter().failed(job.job, 'cancelled', 'as asked', [], job.state!);
    expect(world.row(id).status).toBe('KILLED');
  });

  it('keeps the token from the job, and readable for nobody on the way', async () => {
    const id = world.submit('JDLVariables = {"OutputDir", "TTL"};');
    const job = await world.fetchOne();
    const { token } = world.row(id);
    expect(token).toHaveLength(32);
    const text = JSON.stringify(job) + [...world.bridge.inputs.values()].map(String).join('');
    for (const form of [token!, Buffer.from(token!).toString('base64'), Buffer.from(token!).toString('hex')])
      expect(text).not.toContain(form.slice(0, 30));
    expect(job.description.environment).toMatchObject({ ALIEN_PROC_ID: String(id), ALIEN_JDL_TTL: '7200' });
  });

  it('takes news of jobs it does not know without harm', async () => {
    const stranger = 'z'.repeat(26);
    for (const state of ['', 'x', 'A'.repeat(4096)]) {
      await world.adapter().started(stranger, 1, AGENT, state);
      await world.adapter().renewed(stranger, 1, 0.5, state);
      await world.adapter().released(stranger, 1, 'gone', state);
      await world.adapter().failed(stranger, 'failed', 'gone', [], state);
      expect(await world.adapter().finished(stranger, 1, [], usage, state)).toBe('refused');
    }
  });
});

it('hears of the end of a job by its token from a queue that tells no states, and whose errors are bare texts', async () => {
  const world = await alienWorld({ without: ['getJobInfo'], bareErrors: true });
  const id = world.submit();
  const job = await world.fetchOne();
  await world.adapter().started(job.job, 1, AGENT, job.state!);
  world.double.queue.kill(id);
  for (let round = 0; round < 4; round++) {
    const before = world.double.calls.length;
    await world.clock.run(300_000);
    await expect.poll(() => world.double.calls.length).toBeGreaterThan(before);
  }
  await expect
    .poll(() => world.heard)
    .toContainEqual({ kind: 'kill', job: job.job, reason: expect.any(String) });
  expect(await world.adapter().finished(job.job, 1, await world.run(job, 1), usage, job.state!)).toBe(
    'refused',
  );
  await world.close();
});
