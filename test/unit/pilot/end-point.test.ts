import { readFile, stat } from 'node:fs/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { DUMMY_TOKEN } from '../../../agent/pilot/panda-dialect.ts';
import { MAX_CALL_BYTES } from '../../../agent/pilot/pilot-exchange.ts';
import { answered, bodyOf, setPilotStage } from './pilot-stage.ts';
import type { PilotStage } from './pilot-stage.ts';

const JSON_HEADERS = ['Content-Type: application/json'];
const OK = answered('StatusCode=0');

let stage: PilotStage;

afterEach(() => stage.close());

describe('the end point of a job in pilot mode', () => {
  it('answers nobody but the job, and nobody before the job is there', async () => {
    stage = await setPilotStage(() => Promise.resolve(OK), { admit: false });
    expect(await stage.post('/server/panda/getJob', gzipSync('{}'), JSON_HEADERS)).toBe('');
    stage.desk.admit({ holdsSocket: () => false });
    expect(await stage.post('/server/panda/getJob', gzipSync('{}'), JSON_HEADERS)).toBe('');
    expect(stage.asked).toEqual([]);
  });

  it.each([
    ['/server/panda/killJobs', 'killJobs'],
    ['/server/panda/getProxy', 'getProxy'],
    ['/server/panda/getEventRanges', 'getEventRanges'],
    ['/api/v1/job/kill', 'kill'],
    ['/api/v1/pilot/acquire_jobs', 'acquire_jobs'],
    ['/api/v1/creds/get_proxy', 'get_proxy'],
    ['/server/panda/getJob/../killJobs', 'killJobs'],
    ['/server/panda//getJob', 'getJob'],
    ['/', ''],
  ])('%s is forbidden in the words of PanDA', async (path, name) => {
    stage = await setPilotStage(() => Promise.resolve(OK));
    const answer = await stage.post(path, gzipSync('{}'), JSON_HEADERS);
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(bodyOf(answer)).toBe(`ERROR : method ${name} is forbidden`);
    expect(stage.asked).toEqual([]);
  });

  it.each(['PUT', 'DELETE', 'OPTIONS'])('%s is forbidden', async (verb) => {
    stage = await setPilotStage(() => Promise.resolve(OK));
    const head = [`${verb} /server/panda/getJob HTTP/1.1`, 'Host: x', 'Connection: close'];
    expect(await stage.exchange(head)).toMatch(/^HTTP\/1\.1 403 /);
  });

  it.each(['getJob', 'updateJob', 'getStatus', 'updateWorkerPilotStatus', 'getResourceTypes'])(
    '%s goes to the adapter by either path',
    async (method) => {
      stage = await setPilotStage(() => Promise.resolve(OK));
      for (const base of ['/server/panda', '/api/v1/pilot'])
        expect(bodyOf(await stage.post(`${base}/${method}`, gzipSync('{}'), JSON_HEADERS))).toBe(
          'StatusCode=0',
        );
      expect(stage.asked.map((asked) => asked.method)).toEqual([method, method]);
    },
  );

  it('takes the inventory of the machine and passes it on to nobody', async () => {
    stage = await setPilotStage(() => Promise.resolve(OK));
    const body = gzipSync('{"site": "CP_TEST", "host_name": "vm"}');
    const json = await stage.post('/api/v1/pilot/update_worker_node', body, [
      ...JSON_HEADERS,
      'Accept: application/json',
      'Content-Encoding: gzip',
    ]);
    expect(JSON.parse(bodyOf(json))).toEqual({ success: true, message: '', data: null });
    const text = await stage.post('/server/panda/update_worker_node', Buffer.from('site=CP_TEST'), [
      'Content-Type: application/x-www-form-urlencoded',
    ]);
    expect(bodyOf(text)).toBe("{'success': True, 'message': '', 'data': None}");
    expect(stage.asked).toEqual([]);
  });

  it('JSON comes to the adapter compressed, a query as a form', async () => {
    stage = await setPilotStage(() => Promise.resolve(OK));
    await stage.post('/server/panda/updateJob', Buffer.from('{"jobId": "1"}'), JSON_HEADERS);
    await stage.exchange(['GET /server/panda/getStatus?ids=1+2 HTTP/1.1', 'Host: x', 'Connection: close']);
    const [json, form] = stage.asked;
    expect(gunzipSync(json!.body).toString()).toBe('{"jobId": "1"}');
    expect(form).toMatchObject({ contentType: 'application/x-www-form-urlencoded' });
    expect(form!.body.toString()).toBe('ids=1+2');
  });

  it('asks one question at a time, and refuses a crowd', async () => {
    const open: (() => void)[] = [];
    let most = 0;
    let current = 0;
    stage = await setPilotStage(async () => {
      current += 1;
      most = Math.max(most, current);
      await new Promise<void>((resolve) => open.push(resolve));
      current -= 1;
      return OK;
    });
    const answers = Array.from({ length: 10 }, () =>
      stage.post('/server/panda/getJob', gzipSync('{}'), JSON_HEADERS).then((answer) => {
        open.shift()?.();
        return answer;
      }),
    );
    const refused = await Promise.any(
      answers.map(async (answer) => (await answer).startsWith('HTTP/1.1 503')),
    );
    expect(refused).toBe(true);
    const drain = setInterval(() => open.shift()?.(), 1);
    const statuses = (await Promise.all(answers)).map((answer) => answer.slice(9, 12));
    clearInterval(drain);
    expect(statuses.filter((status) => status === '200')).toHaveLength(8);
    expect(statuses.filter((status) => status === '503')).toHaveLength(2);
    expect(most).toBe(1);
  });

  it('a body over its bound is refused unread', async () => {
    stage = await setPilotStage(() => Promise.resolve(OK));
    const answer = await stage.post('/server/panda/updateJob', Buffer.alloc(5 * 1024 * 1024), JSON_HEADERS);
    expect(answer === '' || answer.startsWith('HTTP/1.1 413')).toBe(true);
    expect(stage.asked).toEqual([]);
  });

  it.each([
    ['no answer in time', (signal: AbortSignal) => untilAborted(signal), 503],
    ['no JSON', () => Promise.resolve({ kind: 'answered', message: { body: '<html>' } } as const), 500],
    ['a status that is none', () => Promise.resolve(answered('x', 'text/plain', 99)), 500],
    ['a header that breaks the line', () => Promise.resolve(answered('x', 'a\r\nSet-Cookie: b')), 500],
    ['an attempt that ended', () => Promise.resolve(refusal('ATTEMPT_NOT_LIVE')), 500],
    ['an adapter without pilot mode', () => Promise.resolve(refusal('UNSUPPORTED')), 403],
  ] as const)('%s: says so, and goes on', async (_what, adapter, status) => {
    let first = true;
    stage = await setPilotStage(
      (_asked, signal) => {
        if (!first) return Promise.resolve(OK);
        first = false;
        return adapter(signal);
      },
      { answerWithinMs: 50 },
    );
    const answer = await stage.post('/server/panda/getJob', gzipSync('{}'), JSON_HEADERS);
    expect(answer.slice(9, 12)).toBe(String(status));
    expect(answer).not.toContain('Set-Cookie');
    expect(await stage.post('/server/panda/getJob', gzipSync('{}'), JSON_HEADERS)).toContain('StatusCode=0');
  });

  it('a question that is open when the job ends is given up', async () => {
    stage = await setPilotStage((_asked, signal) => untilAborted(signal));
    const answer = stage.post('/server/panda/getJob', gzipSync('{}'), JSON_HEADERS);
    await expect.poll(() => stage.asked.length).toBe(1);
    await stage.desk.close();
    await stage.desk.close();
    expect(await answer).not.toContain('200 OK');
  });

  it('never asks more than a call carries', async () => {
    stage = await setPilotStage(() => Promise.resolve(OK));
    const noise = Array.from({ length: 60_000 }, (_, index) => ((index * 7919) % 36_000).toString(36)).join(
      '',
    );
    const body = gzipSync(JSON.stringify({ jobId: '1', pilotLog: noise, metaData: `{"noise": "${noise}"}` }));
    await stage.post('/server/panda/updateJob', body, JSON_HEADERS);
    expect(stage.texts[0]!.length).toBeLessThanOrEqual(MAX_CALL_BYTES);
  });

  it('gives the pilot what it needs, and a token that opens nothing', async () => {
    stage = await setPilotStage(() => Promise.resolve(OK));
    const { environment } = stage.desk;
    expect(environment).toMatchObject({
      COPILOT_PILOT_URL: `http://127.0.0.1:${stage.port}`,
      COPILOT_PILOT_OUTPUTS: `${stage.directory}/pilot-outputs`,
      PILOT_NOKILL: 'True',
      OIDC_AUTH_ORIGIN: 'co-pilot.pilot',
    });
    expect(await readFile(environment['OIDC_AUTH_TOKEN'] ?? '', 'utf8')).toBe(DUMMY_TOKEN);
    expect((await stat(environment['OIDC_AUTH_TOKEN'] ?? '')).mode & 0o777).toBe(0o600);
  });
});

function refusal(code: string) {
  return { kind: 'refused', code, message: '' } as const;
}

function untilAborted(signal: AbortSignal): Promise<{ readonly kind: 'given-up' }> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve({ kind: 'given-up' }), { once: true });
  });
}
