import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { FrameworkHttp, FrameworkRequest } from '../../../adapters/jobs/kit/framework-http.ts';
import { createLegacyClient } from '../../../adapters/jobs/panda/client-legacy.ts';
import { createV1Client } from '../../../adapters/jobs/panda/client-v1.ts';
import type { JobUpdate } from '../../../adapters/jobs/panda/panda-client.ts';

type Reply = string | { readonly status: number; readonly body: string };

/** HTTP that answers what it is told, call after call, and keeps what was asked. */
function scripted(...replies: readonly Reply[]) {
  const asked: FrameworkRequest[] = [];
  const http: FrameworkHttp = {
    send(request) {
      asked.push(request);
      const reply = replies[asked.length - 1] ?? '';
      const { status, body } = typeof reply === 'string' ? { status: 200, body: reply } : reply;
      return Promise.resolve({ status, headers: { 'content-type': 'text/plain' }, body: Buffer.from(body) });
    },
    stop: () => undefined,
  };
  const options = { http, origin: 'atlas.production', scheduler: 'cp', label: 'managed' };
  return { asked, v1: createV1Client(options), legacy: createLegacyClient(options) };
}

const envelope = (data: unknown, success = true, message = ''): string =>
  JSON.stringify({ success, message, data });
const UPDATE: JobUpdate = { id: 7, attempt: 2, site: 'S', node: 'n', status: 'running' };
const OTHER: JobUpdate = {
  ...UPDATE,
  id: 8,
  status: 'failed',
  endMs: 0,
  cpuSeconds: 1.6,
  maxMemoryKiB: 10.2,
};
const EVENTS = { id: 7, task: 5, jobset: 88 };
const RANGE = '5-7-1-1-1';

describe('the client of API v1', () => {
  it('sends what the API knows and nothing else, ints as ints, times in the one form that is read', async () => {
    const { v1, asked } = scripted(envelope([envelopeOf('NULL'), envelopeOf('tobekilled')]));
    const heard = await v1.update([UPDATE, OTHER]);
    expect(heard).toEqual([
      { kind: 'heard', command: 'NULL' },
      { kind: 'heard', command: 'tobekilled' },
    ]);
    expect(asked[0]).toMatchObject({
      path: '/api/v1/pilot/update_jobs_bulk',
      headers: { accept: 'application/json', origin: 'atlas.production' },
    });
    expect(JSON.parse(String(asked[0]?.body))).toEqual({
      job_list: [
        { job_id: 7, job_status: 'running', attempt_nr: 2, site_name: 'S', node: 'n', scheduler_id: 'cp' },
        {
          job_id: 8,
          job_status: 'failed',
          attempt_nr: 2,
          site_name: 'S',
          node: 'n',
          scheduler_id: 'cp',
          cpu_consumption_time: 2,
          cpu_consumption_unit: 's',
          max_rss: 10,
          end_time: '1970-01-01 00:00:00',
        },
      ],
    });
  });

  it('says each update again by itself where one of them cost the answers to all', async () => {
    const { v1, asked } = scripted(
      envelope([], false, 'failed with TypeError'),
      envelope({ StatusCode: 0, command: 'NULL' }),
      envelope(null, false, "Type error: 'node' must be of type str, got int."),
    );
    expect(await v1.update([UPDATE, OTHER])).toEqual([
      { kind: 'heard', command: 'NULL' },
      { kind: 'not-heard', why: expect.stringContaining('Type error') },
    ]);
    expect(asked.map(({ path }) => path.split('/').at(-1))).toEqual([
      'update_jobs_bulk',
      'update_job',
      'update_job',
    ]);
  });

  it.each([
    ['a timeout', envelope({ StatusCode: 10 })],
    ['a failure', envelope({ StatusCode: 30, ErrorDiag: 'x' })],
    ['an invalid update', envelope({ StatusCode: 50 }, false)],
    ['no data', envelope(null)],
    ['no code', envelope({ command: 'NULL' })],
  ])('takes a success with %s for none', async (_what, reply) => {
    expect(await scripted(reply).v1.update([UPDATE])).toEqual([
      { kind: 'not-heard', why: expect.any(String) },
    ]);
  });

  it.each<[string, Reply, string]>([
    ['HTML', '<html>', 'UNREACHABLE'],
    ['nothing', '', 'UNREACHABLE'],
    ['another JSON', '[1]', 'UNREACHABLE'],
    ['an object that is no envelope', '{"ok":1}', 'UNREACHABLE'],
    ['500', { status: 500, body: 'ERROR : x' }, 'UNREACHABLE'],
    ['a redirect', { status: 302, body: envelope({ StatusCode: 0 }) }, 'UNREACHABLE'],
    ['403', { status: 403, body: 'ERROR : Token authentication failed.\n\u0007' }, 'NOT_AUTHORIZED'],
    ['a refusal of our role', envelope(null, false, 'production or pilot role required'), 'UNREACHABLE'],
  ])('takes %s for no answer', async (what, reply, code) => {
    const told = scripted(reply, reply).v1;
    if (what !== 'a refusal of our role') await expect(told.update([UPDATE])).rejects.toMatchObject({ code });
    await expect(told.acquire('S', 1)).rejects.toMatchObject({
      code: what === 'a refusal of our role' ? 'NOT_AUTHORIZED' : code,
      message: expect.stringMatching(/^[ -~]*$/u),
    });
  });

  it('takes no more jobs than it asked for, none where there are none, and no list for a refusal', async () => {
    const list = scripted(envelope({ StatusCode: 0, jobs: [1, 2, 3] }));
    expect(await list.v1.acquire('S', 2)).toEqual([1, 2]);
    expect(JSON.parse(String(list.asked[0]?.body))).toEqual({
      site_name: 'S',
      n_jobs: 2,
      prod_source_label: 'managed',
      scheduler_id: 'cp',
    });
    expect(await scripted(envelope(null, false, 'No jobs in PanDA')).v1.acquire('S', 2)).toEqual([]);
    await expect(scripted(envelope(null, false, 'Timed out')).v1.acquire('S', 2)).rejects.toThrow(
      /Timed out/u,
    );
    await expect(scripted(envelope({ StatusCode: 0 })).v1.acquire('S', 2)).rejects.toThrow(/gives none/u);
  });

  it('believes a state of the job that it asked about alone, in whatever order', async () => {
    const rows = [8, 7].map((id) => ({ job_id: id, status: `s${id}`, attempt_number: id }));
    expect(await scripted(envelope(rows)).v1.status([7, 8])).toEqual([
      { id: 7, status: 's7', attempt: 7 },
      { id: 8, status: 's8', attempt: 8 },
    ]);
    await expect(scripted(envelope(rows)).v1.status([9])).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('looks at the ranges after a 500, and never updates them twice', async () => {
    const states = { 7: { [RANGE]: { status: 3 } } };
    const { v1, asked } = scripted(
      { status: 500, body: "ERROR : unhashable type: 'list'" },
      envelope(states),
    );
    expect(await v1.finishRanges(EVENTS, [RANGE])).toEqual(new Set([RANGE]));
    expect(asked.map(({ path }) => path.split('?')[0]?.split('/').at(-1))).toEqual([
      'update_event_ranges',
      'get_event_range_statuses',
    ]);
    const notThere = scripted({ status: 500, body: '' }, envelope({ 7: { [RANGE]: { status: 'sent' } } }));
    expect(await notThere.v1.finishRanges(EVENTS, [RANGE])).toEqual(new Set());
    const mended = scripted(envelope({ Returns: [true], Commands: { 7: null } }));
    expect(await mended.v1.finishRanges(EVENTS, [RANGE])).toEqual(new Set([RANGE]));
  });

  it.each([
    [1, 1, 1],
    [11, 20, 10],
    ['5', '6', 2],
    [1, 1_000_000_000, 1_000_000_000],
    [1, 1_000_000_001, 1],
    [7, 6, 1],
    [1, 1e300, 1],
    ['x', null, 1],
    [undefined, undefined, 1],
  ])('counts the events of a range from %s to %s as %i', async (startEvent, lastEvent, events) => {
    const ranges = [{ eventRangeID: RANGE, startEvent, lastEvent }];
    expect(await scripted(envelope(ranges)).v1.takeRanges(EVENTS, 9)).toMatchObject([{ events }]);
  });

  it('takes ranges that it can hand on, and no others', async () => {
    const ranges = [
      { eventRangeID: RANGE, startEvent: 1 },
      { eventRangeID: 'x' },
      null,
      { eventRangeID: RANGE, LFN: 'x'.repeat(2000) },
    ];
    expect(await scripted(envelope(ranges)).v1.takeRanges(EVENTS, 9)).toEqual([
      { id: RANGE, body: JSON.stringify(ranges[0]), events: 1 },
    ]);
  });
});

describe('the client of the legacy API', () => {
  it('sends JSON that is always gzipped, every value a text', async () => {
    const { legacy, asked } = scripted('{"StatusCode":0,"command":"NULL"}');
    expect(await legacy.update([OTHER])).toEqual([{ kind: 'heard', command: 'NULL' }]);
    const said: unknown = JSON.parse(gunzipSync(Buffer.from(asked[0]?.body ?? '')).toString());
    expect(asked[0]?.headers).not.toHaveProperty('content-encoding');
    expect(said).toMatchObject({
      jobId: '8',
      state: 'failed',
      attemptNr: '2',
      maxRSS: '10',
      endTime: '1970-01-01 00:00:00',
    });
  });

  it('reads the reply to each of many in whatever encoding it comes', async () => {
    const replies = [
      { StatusCode: 0, command: 'NULL' },
      { type: 'json', content: '{"StatusCode": 0, "command": "tobekilled"}' },
      'StatusCode=0&command=alreadydone',
      '{"StatusCode": 30}',
      null,
    ];
    const { legacy } = scripted(JSON.stringify([true, replies]));
    const heard = await legacy.update(replies.map(() => UPDATE));
    expect(heard.map((one) => (one.kind === 'heard' ? one.command : 'not-heard'))).toEqual([
      'NULL',
      'tobekilled',
      'alreadydone',
      'not-heard',
      'not-heard',
    ]);
  });

  it('reads jobs as a list or its text, and what there is instead', async () => {
    expect(await scripted('{"StatusCode":0,"jobs":"[1,2]"}').legacy.acquire('S', 9)).toEqual([1, 2]);
    expect(await scripted('{"StatusCode":20}').legacy.acquire('S', 9)).toEqual([]);
    await expect(scripted('{"StatusCode":60}').legacy.acquire('S', 9)).rejects.toMatchObject({
      code: 'NOT_AUTHORIZED',
    });
    await expect(scripted('{"StatusCode":0}').legacy.acquire('S', 9)).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
  });

  it('reads states that are joined, and takes a short list for no answer', async () => {
    const two = '{"StatusCode":0,"status":"running+notfound","attemptNr":"1+0"}';
    expect(await scripted(two).legacy.status([7, 8])).toEqual([
      { id: 7, status: 'running', attempt: 1 },
      { id: 8, status: 'not found', attempt: 0 },
    ]);
    await expect(scripted(two).legacy.status([7])).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

function envelopeOf(command: string): object {
  return { success: true, message: '', data: { StatusCode: 0, command } };
}
