import { afterEach, describe, expect, it } from 'vitest';
import type { Finished } from '../../../adapters/jobs/job-adapter.ts';
import { eventually, eventuallyTrue } from '../../doubles/eventually.ts';
import type { PandaFaults } from '../../doubles/panda/faults.ts';
import type { WantedJob } from '../../doubles/panda/job-spec.ts';
import { rucioPath } from '../../../adapters/jobs/panda/rucio-path.ts';
import { decodeState } from '../../../adapters/jobs/panda/job-state.ts';
import { AGENT, openWorld, outputsOf, USAGE, type World, type WorldOptions } from './panda-world.ts';

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

describe('a server that answers and does not mean it', () => {
  it.each<[string, Partial<PandaFaults>, string]>([
    ['is down', { isDown: true }, 'UNREACHABLE'],
    ['answers HTML', { isHtml: true }, 'UNREACHABLE'],
    ['answers half', { isHalf: true }, 'UNREACHABLE'],
    ['times out inside a success', { statusCode: 10 }, 'UNREACHABLE'],
    ['fails inside a success', { statusCode: 30 }, 'UNREACHABLE'],
    ['says yes and does nothing', { lies: true }, 'UNREACHABLE'],
    ['calls the token expired', { tokenExpired: true }, 'NOT_AUTHORIZED'],
  ])('and %s has not taken a result: it is asked again, and nothing is lost', async (_what, fault, code) => {
    const { panda, adapter, clock, accepted } = await world();
    const [id = 0] = panda.submit({});
    const job = await accepted();
    await adapter.started(job.job, 1, AGENT, state(job));
    const finish = (): Promise<Finished> => adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job));
    panda.setFaults(fault);
    await expect(finish()).rejects.toMatchObject({ code });
    await expect(adapter.failed(job.job, 'failed', 'x', [], state(job))).rejects.toMatchObject({ code });
    panda.heal();
    expect(await finish()).toBe('ok');
    await clock.run(1000);
    expect(panda.job(id).state).toBe('finished');
  });

  it('and hangs is given up in time', async () => {
    const { panda, adapter, clock, accepted } = await world({ timeoutMs: 30_000 });
    panda.submit({});
    const job = await accepted();
    panda.setFaults({ hangs: true });
    const told = adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job));
    const seen = expect(told).rejects.toMatchObject({ code: 'TIMEOUT' });
    await eventuallyTrue('the request', () => clock.pending() > 0, 1000);
    await clock.run(30_001);
    await seen;
  });

  it('and hears updates twice and in pairs the wrong way round still ends each job once', async () => {
    const { panda, adapter, clock } = await world();
    const ids = panda.submit({}, {}, {});
    const { jobs } = await adapter.fetch('main', 3, []);
    panda.setFaults({ repeats: true, reorders: true });
    for (const job of jobs) await adapter.started(job.job, 1, AGENT, state(job));
    for (const job of jobs)
      await eventually(
        'the result',
        async () => {
          const told = await adapter
            .finished(job.job, 1, outputsOf(job), USAGE, state(job))
            .catch(() => 'again');
          return told === 'ok' ? told : undefined;
        },
        5000,
      );
    await clock.run(1000);
    expect(ids.map((id) => panda.job(id).state)).toEqual(['finished', 'finished', 'finished']);
  });

  it('and gives jobs whose answer is cut loses none of those it gives later', async () => {
    const { panda, adapter, clock } = await world();
    panda.submit({ maxAttempt: 2 });
    panda.setFaults({ lostAnswers: 1, methods: ['acquire_jobs'] });
    await expect(adapter.fetch('main', 1, [])).rejects.toMatchObject({ code: 'UNREACHABLE' });
    // PanDA counts the job as ours, and finds in half an hour that nobody speaks of it.
    expect((await adapter.fetch('main', 1, [])).jobs).toEqual([]);
    await clock.run(32 * 60_000);
    expect((await adapter.fetch('main', 1, [])).jobs).toHaveLength(1);
  });
});

describe('a job that cannot be taken', () => {
  const hostile: [string, WantedJob, number, RegExp][] = [
    ['a shell word in jobPars', { parameters: '1; touch /tmp/x' }, 1305, /jobPars has ; at 1/u],
    ['a path in an output', { outputs: [{ lfn: '../../x' }] }, 1305, /name that is not taken/u],
    ['no storage', { outputs: [{ lfn: 'a', endpoint: 'NULL' }] }, 1133, /no storage/u],
    ['a transformation that is not there', { transformation: 'TRF/none.sh' }, 1149, /answers 40/u],
    ['an input that is not there', { inputs: [{ lfn: 'in.root', checksum: 'ad:1' }] }, 1099, /answers 40/u],
    ['no attempt', { extra: { attemptNr: 'x' } }, 0, /nobody can name/u],
    ['a release', { release: 'Atlas-25' }, 1305, /software release/u],
  ];

  it.each(hostile)(
    'for %s is refused to PanDA at once, with the reason',
    async (_what, wanted, code, reason) => {
      const { panda, adapter, clock, log } = await world();
      const transformation = wanted.transformation?.replace('TRF', `${panda.url}/trf`);
      const [id = 0, good = 0] = panda.submit({ ...wanted, ...(transformation && { transformation }) }, {});
      const { jobs } = await adapter.fetch('main', 2, []);
      expect(jobs.map((job) => job.ref)).toEqual([String(good)]);
      if (code === 0) expect(log.join('\n')).toMatch(reason);
      else {
        await eventuallyTrue('the refusal', () => panda.job(id).given === 'failed', 5000);
        await clock.run(1000);
        expect(panda.job(id)).toMatchObject({ state: 'failed', fields: { pilot_error_code: code } });
        expect(panda.job(id).fields['pilot_error_diag']).toMatch(reason);
      }
    },
  );

  it('is refused again until PanDA hears it', async () => {
    const { panda, adapter, clock, log } = await world();
    const [id = 0] = panda.submit({ parameters: '`id`' });
    panda.setFaults({ isDown: true, methods: ['update_job', 'update_jobs_bulk'] });
    expect((await adapter.fetch('main', 1, [])).jobs).toEqual([]);
    await eventuallyTrue(
      'a failure to tell',
      () => log.some((line) => line.includes('did not hear that a job is refused')),
      5000,
    );
    expect(panda.job(id).state).toBe('sent');
    panda.setFaults({ isDown: false });
    await clock.run(10_001);
    await eventuallyTrue('the refusal', () => panda.job(id).given === 'failed', 5000);
  });

  it('for an input that is another file than PanDA describes is refused with its own code, a right one is stored, and no token goes to where files are', async () => {
    const { panda, adapter, inputs } = await world();
    panda.serve(`/rucio/${rucioPath('user.cp', 'in.root')}`, 'hello\n');
    const right = { lfn: 'in.root', checksum: 'ad:084b021f', size: 6 };
    const [good = 0, bad = 0] = panda.submit(
      { inputs: [right] },
      { inputs: [{ ...right, checksum: 'ad:084b0220' }] },
    );
    const { jobs } = await adapter.fetch('main', 2, []);
    expect(jobs.map((job) => job.ref)).toEqual([String(good)]);
    expect([...inputs.values()].map(String)).toContain('hello\n');
    await eventuallyTrue('the refusal', () => panda.job(bad).given === 'failed', 5000);
    expect(panda.job(bad).fields['pilot_error_code']).toBe(1171);
    const files = panda.heard.filter((line) => /^GET \/(?:rucio|trf)\//u.test(line));
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((line) => !line.endsWith(' open'))).toEqual([]);
  });
});

describe('credentials', () => {
  it("with the pilot's role take no job, and each fetch says why", async () => {
    const { panda, adapter, setToken } = await world();
    panda.submit({});
    setToken(panda.token({ role: 'pilot' }));
    await expect(adapter.fetch('main', 1, [])).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    expect(panda.table.jobs()[0]?.state).toBe('activated');
  });

  it('that expired are refused, and renewed ones go on where the old ones stopped', async () => {
    const { panda, adapter, accepted, setToken } = await world();
    panda.submit({});
    const job = await accepted();
    setToken(panda.token({ expiresInSeconds: -1 }));
    const finish = (): Promise<Finished> => adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job));
    await expect(finish()).rejects.toMatchObject({
      code: 'NOT_AUTHORIZED',
      message: expect.stringContaining('expired'),
    });
    setToken(panda.token());
    expect(await finish()).toBe('ok');
  });

  it("I10 are in no log, in no job, and in no word to the broker; PanDA's secrets neither", async () => {
    const { panda, adapter, clock, log, work, accepted, setToken } = await world();
    const token = panda.token({ name: 'CANARY-token' });
    setToken(token);
    panda.submit({ extra: { secrets: 'CANARY-secret', pilotSecrets: 'CANARY-pilot' } }, { parameters: ';' });
    const job = await accepted();
    panda.setFaults({ tokenExpired: true });
    await adapter.started(job.job, 1, AGENT, state(job)).catch(() => undefined);
    panda.setFaults({ tokenExpired: false, isHtml: true });
    await adapter.finished(job.job, 1, outputsOf(job), USAGE, state(job)).catch(() => undefined);
    await clock.run(60_000);
    const said = [...log, JSON.stringify(job), JSON.stringify(work)].join('\n');
    for (const secret of [token, token.slice(0, 40), 'CANARY']) expect(said).not.toContain(secret);
    expect(JSON.stringify(decodeState(state(job)))).not.toContain('CANARY');
  });
});
