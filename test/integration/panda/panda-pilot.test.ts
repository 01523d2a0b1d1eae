import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { Finished, NewJob } from '../../../adapters/jobs/job-adapter.ts';
import { AGENT, openWorld, outputsOf, stored, USAGE, type World } from './panda-world.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

interface Pilot extends World {
  /** The adapter of the moment is there alone. */
  readonly world: World;
  readonly id: number;
  readonly job: NewJob;
  readonly call: (method: string, fields: object) => Promise<string>;
}

async function pilot(): Promise<Pilot> {
  const made = await openWorld({ options: { mode: 'pilot', pilot: ['panda-pilot'] } });
  open.push(() => made.close());
  const [id = 0] = made.panda.submit({
    release: 'Atlas-25.0.1',
    parameters: '--a; b',
    extra: { secrets: 'CANARY' },
  });
  const job = await made.accepted();
  await made.adapter.started(job.job, 1, AGENT, job.state ?? '');
  const call = async (method: string, fields: object): Promise<string> => {
    const body = gzipSync(JSON.stringify(fields)).toString('base64');
    const text = JSON.stringify({ contentType: 'application/json', accept: '', body });
    const answer = await made.adapter.call?.(job.job, 1, method, text, job.state ?? '');
    const said = JSON.parse(answer ?? '') as { readonly body: string };
    return Buffer.from(said.body, 'base64').toString();
  };
  return { ...made, world: made, adapter: made.adapter, id, job, call };
}

describe('a pilot inside a job', () => {
  it('is given the job of its lease as PanDA describes it, without secrets', async () => {
    const { call, id, job } = await pilot();
    expect(job.description).toMatchObject({ command: 'panda-pilot', pilot: { dialect: 'panda' } });
    const said = new URLSearchParams(await call('getJob', { siteName: 'CP_TEST' }));
    expect(Object.fromEntries(said)).toMatchObject({
      PandaID: String(id),
      swRelease: 'Atlas-25.0.1',
      jobPars: '--a; b',
    });
    expect(said.toString()).not.toContain('CANARY');
  });

  it('may say what it likes of its files: PanDA hears at the end, and what our storage computed', async () => {
    const { call, id, job, panda, adapter, clock } = await pilot();
    expect(await call('updateJob', { jobId: String(id), state: 'running', attemptNr: 1 })).toBe(
      'StatusCode=0&command=NULL',
    );
    const name = job.description.outputs[0]?.name ?? '';
    const xml = JSON.stringify({
      [name]: { guid: 'FORGED', fsize: 1, adler32: 'deadbeef', endpoint: 'ELSEWHERE' },
    });
    await call('updateJob', { jobId: String(id), state: 'finished', attemptNr: 1, xml });
    expect(panda.job(id).state).toBe('running');
    expect(await adapter.finished(job.job, 1, outputsOf(job), USAGE, job.state ?? '')).toBe('ok');
    await clock.run(1000);
    expect(panda.job(id).state).toBe('finished');
    expect(panda.job(id).report).toContain(outputsOf(job)[0]?.adler32 ?? 'none');
    for (const forged of ['FORGED', 'deadbeef', 'ELSEWHERE'])
      expect(panda.job(id).report).not.toContain(forged);
    expect(await call('getJob', {})).toBe('StatusCode=20');
  });

  it('says of how many events its job was, which is the same after a restart, and PanDA hears it', async () => {
    const made = await pilot();
    const { call, id, job, panda, reopen } = made;
    const said = { jobId: String(id), state: 'finished', attemptNr: 1 };
    await call('updateJob', { ...said, nEvents: 900 });
    await call('updateJob', { ...said, nEvents: 1000 });
    const finish = (): Promise<Finished> =>
      made.world.adapter.finished(job.job, 1, outputsOf(job), USAGE, job.state ?? '');
    expect(await finish()).toEqual({ events: 1000 });
    await reopen();
    expect(await finish()).toEqual({ events: 1000 });
    expect(panda.job(id).fields).toMatchObject({ n_events: 1000 });
  });

  it('whose payload failed is believed in that: its codes, and the log alone in the report', async () => {
    const { call, id, job, panda, adapter, clock } = await pilot();
    const codes = { pilotErrorCode: 1305, pilotErrorDiag: 'Failed to execute payload', transExitCode: 65 };
    await call('updateJob', {
      jobId: String(id),
      state: 'failed',
      attemptNr: 1,
      pilotLog: 'the end',
      ...codes,
    });
    const log = job.description.outputs.at(-1)?.name ?? '';
    expect(await adapter.finished(job.job, 1, stored({ [log]: 'log' }), USAGE, job.state ?? '')).toBe(
      'refused',
    );
    await clock.run(1000);
    expect(panda.job(id)).toMatchObject({
      state: 'failed',
      fields: {
        pilot_error_code: 1305,
        trans_exit_code: 65,
        pilot_error_diag: 'Failed to execute payload',
        pilot_log: 'the end',
      },
    });
    expect(Object.keys(JSON.parse(panda.job(id).report) as object)).toEqual([log]);
  });

  it('hears that PanDA wants its job ended, and so does the broker', async () => {
    const { call, id, job, panda, work } = await pilot();
    panda.table.kill(id);
    expect(await call('updateJob', { jobId: String(id), state: 'running', attemptNr: 1 })).toBe(
      'StatusCode=0&command=tobekilled',
    );
    expect(work).toContainEqual({ kind: 'kill', job: job.job, reason: expect.any(String) });
    expect(await call('getStatus', { ids: `${id} 1` })).toBe(
      'StatusCode=0&status=running%2Bnotfound&attemptNr=1%2B0',
    );
  });

  it("hears no shell command of PanDA's, and gets nothing from a job that has no pilot", async () => {
    const { call, id, panda } = await pilot();
    panda.table.setCommand(id, 'rm -rf /');
    expect(await call('updateJob', { jobId: String(id), state: 'running', attemptNr: 1 })).toBe(
      'StatusCode=0&command=NULL',
    );
    expect(await call('getResourceTypes', {})).toContain('SCORE');
    await expect(call('getProxy', {})).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });
});
