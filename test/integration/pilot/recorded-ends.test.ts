import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NewJob } from '../../../adapters/jobs/job-adapter.ts';
import { CAPTURED } from '../../doubles/panda/captured-pilot.ts';
import { REBUILT } from '../../doubles/panda/rebuilt-pilot.ts';
import { AGENT, openWorld, stored, USAGE, type World } from '../panda/panda-world.ts';
import { bodyOf, type PilotStage, setPilotStage } from '../../unit/pilot/pilot-stage.ts';

const OUTPUT = 'user.cp.0001.out.txt';
const LOG = 'user.cp.0001.log.tgz';
/** What the pilot says of its outputs; nothing of it is to reach PanDA. */
const CLAIMED = ['1A5D5CA3', '079a01d2', '77fd3570', '15009', '6da81772', '8775', 'file://', '/var/lib/se'];

const bodies = Object.fromEntries(
  Object.entries({ ...CAPTURED, ...REBUILT }).map(([name, body]) => [name, Buffer.from(body, 'base64')]),
);
const saidBy = (name: string): Record<string, unknown> =>
  JSON.parse(gunzipSync(bodies[name]!).toString()) as Record<string, unknown>;

describe('the rebuilt last words of a pilot', () => {
  it('are compressed as the recorded ones are, and have their fields in the recorded order', () => {
    for (const name of Object.keys(REBUILT)) {
      const [own, recorded] = [bodies[name]!, bodies['updateJob']!];
      expect(own.subarray(0, 4)).toEqual(recorded.subarray(0, 4));
      expect(own.subarray(8, 10)).toEqual(recorded.subarray(8, 10));
    }
    const [begin, end] = ['coreCount', 'pilotTiming pilotLog endTime'].map((text) => text.split(' '));
    const codes = ['pilotErrorCode', 'pilotErrorDiag', 'transExitCode', 'exeErrorCode', 'exeErrorDiag'];
    const head = Object.keys(saidBy('updateJob')).slice(0, 10);
    expect(head.at(-1)).toBe('xml');
    const failed = [...head, ...begin!, 'cpuConsumptionUnit', ...end!, ...codes];
    expect(Object.keys(saidBy('failed'))).toEqual(failed);
    expect(Object.keys(saidBy('finished'))).toEqual(failed.toSpliced(11, 0, 'meanCoreCount'));
    expect(saidBy('failed')['pilotLog']).toHaveLength(1024);
  });
});

describe.each(['v1', 'legacy'] as const)('a recorded pilot, before the end point, by the API %s', (api) => {
  let world: World;
  let stage: PilotStage;
  let jobs: readonly NewJob[];

  /** Two jobs, whose numbers are those of the recording. */
  beforeEach(async () => {
    world = await openWorld({ panda: { dialects: [api] }, options: { api, mode: 'pilot', pilot: ['run'] } });
    const wanted = { parameters: '--n 1', outputs: [{ lfn: OUTPUT }], log: LOG };
    expect([...world.panda.submit(wanted), ...world.panda.submit(wanted)]).toEqual([4001, 4002]);
    const fetched = await world.adapter.fetch('main', 2, []);
    jobs = fetched.jobs.toSorted((one, other) => one.ref.localeCompare(other.ref));
    await world.adapter.fetch(
      'main',
      0,
      jobs.map(({ job }) => job),
    );
    stage = await setPilotStage(async ({ method }) => {
      const { job, state = '' } = ofTheLease();
      const body = await world.adapter.call?.(job, 1, method, stage.texts.at(-1) ?? '', state);
      return { kind: 'answered', message: { body: body ?? '' } };
    });
  });
  afterEach(async () => {
    await stage.close();
    await world.close();
  });

  let ofTheLease: () => NewJob;
  async function started(ref: string): Promise<NewJob> {
    const job = jobs.find((one) => one.ref === ref)!;
    ofTheLease = () => job;
    await world.adapter.started(job.job, 1, AGENT, job.state ?? '');
    return job;
  }
  /** Sends a body as the pilot's first transport does; answers what comes back. */
  async function send(method: string, name: string): Promise<string> {
    const body = bodies[name]!;
    const head = [
      `POST /server/panda/${method} HTTP/1.1`,
      'Accept-Encoding: identity',
      `Content-Length: ${body.length}`,
      'Host: 127.0.0.1:28080',
      'User-Agent: pilot/3.11.5.1 (Python 3.11.2; Linux x86_64)',
      'Content-Type: application/json',
      'Connection: close',
    ];
    return bodyOf(await stage.exchange(head, body));
  }
  const finish = ({ job, state = '' }: NewJob, files: Readonly<Record<string, string>>) =>
    world.adapter.finished(job, 1, stored(files), USAGE, state);
  const logGuid = (id: number): string =>
    world.panda.table.job(id)?.spec.files.find(({ lfn }) => lfn === LOG)?.guid ?? '';
  /** Of every end: times of PanDA's own clock, usage by our agent. In API v1 numbers are numbers, the legacy one has texts. */
  const heardOfAny = (): object => ({
    node: 'co-pilot-panda',
    start_time: '2026-01-01 00:00:00',
    end_time: '2026-01-01 00:00:00',
    ...(api === 'v1'
      ? {
          cpu_consumption_time: 2,
          max_rss: 16_384,
          cpu_consumption_unit: 's',
          scheduler_id: 'co-pilot-panda',
          site_name: 'CP_TEST',
          timeout: 60,
        }
      : { cpu_consumption_time: '2', max_rss: '16384' }),
  });

  it('that finished: PanDA hears our codes, our usage and what storage has, and nothing that the pilot claims', async () => {
    const job = await started('4001');
    expect(await send('getJob', 'getJob')).toMatch(/^StatusCode=0&PandaID=4001&/);
    expect(await send('updateJob', 'updateJob')).toBe('StatusCode=0&command=NULL');
    const running = { ...world.panda.job(4001).fields };
    expect(await send('updateJob', 'finished')).toBe('StatusCode=0&command=NULL');
    // Until storage has the result PanDA hears nothing of an end.
    expect(world.panda.job(4001)).toMatchObject({ state: 'running', fields: running, report: '' });
    expect(await send('getJob', 'getJob')).toBe('StatusCode=20');
    expect(await finish(job, { [OUTPUT]: 'what storage has', [LOG]: 'its log' })).toBe('ok');
    await world.clock.run(1_000);
    const { state, history, fields, report } = world.panda.job(4001);
    expect(state).toBe('finished');
    expect(history.filter((one) => one === 'finished')).toHaveLength(1);
    expect(fields).toEqual({ ...heardOfAny(), pilot_error_code: 0, trans_exit_code: 0 });
    const [output, log] = stored({ [OUTPUT]: 'what storage has', [LOG]: 'its log' });
    expect(JSON.parse(report)).toEqual({
      [OUTPUT]: {
        guid: expect.stringMatching(/^[0-9A-F]{8}-[0-9A-F]{4}-8/),
        fsize: output?.size,
        adler32: output?.adler32,
        endpoint: 'CP_DISK',
      },
      [LOG]: { guid: logGuid(4001), fsize: log?.size, adler32: log?.adler32, endpoint: 'CP_DISK' },
    });
    for (const claimed of CLAIMED) expect(JSON.stringify({ fields, report })).not.toContain(claimed);
  });

  it('whose payload failed: PanDA hears the pilot’s codes and words, and of the log alone what storage has', async () => {
    const job = await started('4002');
    expect(await send('updateJob', 'failed')).toBe('StatusCode=0&command=NULL');
    expect(world.panda.job(4002)).toMatchObject({ report: '' });
    expect(await finish(job, { [LOG]: 'its log' })).toBe('refused');
    await world.clock.run(1_000);
    const { state, fields, report } = world.panda.job(4002);
    expect(state).toBe('failed');
    expect(fields).toEqual({
      ...heardOfAny(),
      pilot_error_code: 1305,
      pilot_error_diag: 'Failed to execute payload',
      trans_exit_code: 65,
      pilot_log: saidBy('failed')['pilotLog'],
    });
    const [log] = stored({ [LOG]: 'its log' });
    expect(JSON.parse(report)).toEqual({
      [LOG]: { guid: logGuid(4002), fsize: log?.size, adler32: log?.adler32, endpoint: 'CP_DISK' },
    });
    for (const claimed of CLAIMED) expect(JSON.stringify({ fields, report })).not.toContain(claimed);
  });

  it('that speaks of the job of another lease is told to end, and PanDA hears nothing', async () => {
    await started('4001');
    const { state, fields } = world.panda.job(4002);
    expect(await send('updateJob', 'failed')).toBe('StatusCode=0&command=tobekilled');
    expect(world.panda.job(4002)).toMatchObject({ state, fields });
  });
});
