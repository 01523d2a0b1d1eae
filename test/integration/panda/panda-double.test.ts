import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { type PandaDouble, startPanda } from '../../doubles/panda/panda-server.ts';
import { submission } from '../../doubles/panda/submission.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const MONTH_SECONDS = 30 * 86_400;
const JSON_TYPE = 'application/json';

const clock = createManualClock();
let panda: PandaDouble;
let pilotToken: string;
let productionToken: string;

beforeAll(async () => {
  panda = await startPanda({ clock, banned: ['Banned/CN=nickname:cprobot'] });
  productionToken = panda.token({ expiresInSeconds: MONTH_SECONDS });
  pilotToken = panda.token({ expiresInSeconds: MONTH_SECONDS, role: 'pilot' });
});
afterAll(async () => panda.close());

interface Ask {
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | null;
  readonly origin?: string | null;
}

async function ask(path: string, { method, body, headers = {}, token, origin }: Ask = {}) {
  const role = token === pilotToken ? 'atlas.pilot' : 'atlas.production';
  const answer = await fetch(`${panda.url}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(token !== null && { authorization: `Bearer ${token ?? productionToken}` }),
      ...(origin !== null && { origin: origin ?? role }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : new Uint8Array(body) }),
  });
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
}

async function v1(path: string, given: object | string, options: Ask = {}) {
  const body = typeof given === 'string' ? given : JSON.stringify(given);
  const answer = await ask(`/api/v1/${path}`, { body, headers: { 'content-type': JSON_TYPE }, ...options });
  return JSON.parse(answer.text) as { success: boolean; message: string; data: Record<string, unknown> };
}

describe('the API v1 of the double', () => {
  it.each([
    ['/api/v1/pilot/nothing', 'ERROR : method nothing is forbidden'],
    ['/api/v2/pilot/update_job', 'ERROR : method panda is forbidden'],
    ['/server/panda/killJobs', 'ERROR : method killJobs is forbidden'],
  ])('forbids %s', async (path, text) => {
    const answer = await ask(path);
    expect(answer.status).toBe(403);
    if (path !== '/api/v2/pilot/update_job') expect(answer.text).toBe(text);
  });

  it.each([
    [
      'a missing argument',
      'pilot/acquire_jobs',
      '{}',
      "Argument error: missing a required argument: 'site_name'",
    ],
    [
      'an unknown one',
      'pilot/acquire_jobs',
      '{"site_name":"X","bogus":1}',
      "Argument error: got an unexpected keyword argument 'bogus'",
    ],
    [
      'a text for an int',
      'pilot/acquire_jobs',
      '{"site_name":"X","timeout":"60"}',
      "Type error: 'timeout' must be of type int, got str.",
    ],
    [
      'a float for an int',
      'pilot/update_job',
      '{"job_id":1,"job_status":"running","mean_core_count":1.0}',
      "Type error: 'mean_core_count' must be of type int, got float.",
    ],
    [
      'null where it is no default',
      'pilot/acquire_jobs',
      '{"site_name":"X","timeout":null}',
      "Type error: 'timeout' must be of type int, got NoneType.",
    ],
    [
      'a state that pilots cannot set',
      'pilot/update_job',
      '{"job_id":1,"job_status":"merging"}',
      'Invalid job status: merging',
    ],
  ])("refuses %s with the server's words", async (_what, path, body, message) => {
    expect(await v1(path, body)).toMatchObject({ success: false, message });
  });

  it('takes null where it is the default, and floats where they are numbers', async () => {
    const answer = await v1(
      'pilot/update_job',
      '{"job_id":1,"job_status":"running","node":null,"max_rss":1.5}',
    );
    expect(answer).toEqual({ success: true, message: '', data: { StatusCode: 0, command: 'tobekilled' } });
  });

  it("says who may not, in the server's order: security, role, method", async () => {
    const none = await v1('pilot/update_job', {}, { token: null });
    expect(none.message).toBe('SSL secure connection is required');
    const pilot = await v1('pilot/update_job', {}, { token: pilotToken });
    expect(pilot.message).toBe('production or pilot role required');
    const get = await ask('/api/v1/pilot/update_job', { headers: { accept: JSON_TYPE } });
    expect(JSON.parse(get.text)).toMatchObject({ message: 'expecting POST, received GET' });
  });

  it.each([
    ['no origin', { origin: null }, "Token authentication failed. 'NoneType'"],
    ['an unknown experiment', { origin: 'nosuch.pilot' }, 'Token authentication failed. Unknown vo : nosuch'],
    [
      'another group',
      { origin: 'atlas.admin' },
      'Token authentication failed. Not a member of the atlas/admin group',
    ],
  ])('lets no token in with %s', async (_what, options, text) => {
    const answer = await ask('/api/v1/system/is_alive', options);
    expect(answer.status).toBe(403);
    expect(answer.text).toContain(`ERROR : ${text}`);
  });

  it('lets in no token that is old, forged, of another algorithm, or of somebody banned', async () => {
    const tokens = [
      [panda.token({ expiresInSeconds: -1 }), 'Invalid token. Signature has expired'],
      [panda.token({ forged: true }), 'Invalid token. Signature verification failed'],
      [panda.token({ algorithm: 'none' }), 'not allowed'],
      [panda.token({ name: 'banned' }), 'Banned/CN=nickname:cprobot is banned'],
      ['x', 'Not enough segments'],
    ] as const;
    for (const [token, text] of tokens) {
      const answer = await ask('/api/v1/system/is_alive', { token });
      expect([answer.status, answer.text]).toEqual([403, expect.stringContaining(text)]);
    }
  });

  it('names its callers in titles, with their roles', async () => {
    const answer = await ask('/api/v1/system/get_user_attributes', { headers: { accept: JSON_TYPE } });
    expect(JSON.parse(answer.text)).toMatchObject({
      success: true,
      data: {
        user_dn_raw: 'Cp Robot/CN=nickname:cprobot',
        is_production_user: true,
        fqans: ['/atlas/Role=production'],
      },
    });
  });

  it('answers JSON as text/plain, and Python where nobody asks for JSON', async () => {
    const json = await ask('/api/v1/pilot/get_job_status?job_ids=1&job_ids=2', {
      headers: { accept: JSON_TYPE },
    });
    expect(json.type).toBe('text/plain');
    expect(JSON.parse(json.text)).toMatchObject({
      data: [{ job_id: 1, status: 'not found', attempt_number: 0 }, { job_id: 2 }],
    });
    const python = await ask('/api/v1/system/is_alive');
    expect(python.text).toBe("{'success': True, 'message': '', 'data': None}");
  });

  it('unzips by the header alone', async () => {
    const body = gzipSync('{"site_name":"NONE"}');
    const headers = { 'content-type': JSON_TYPE, 'content-encoding': 'gzip' };
    const right = await ask('/api/v1/pilot/acquire_jobs', { body, headers });
    expect(JSON.parse(right.text)).toEqual({ success: false, message: 'No jobs in PanDA', data: null });
    const wrong = await ask('/api/v1/pilot/acquire_jobs', { body, headers: { 'content-type': JSON_TYPE } });
    expect([wrong.status, wrong.text]).toEqual([
      500,
      expect.stringContaining('ERROR : received invalid JSON'),
    ]);
  });

  it("has the roles' table: who may take which jobs", async () => {
    panda.submit(
      { site: 'ROLES', label: 'managed' },
      { site: 'ROLES', user: 'Cp Robot/CN=nickname:cprobot' },
    );
    const take = (label: string, token?: string) =>
      v1(
        'pilot/acquire_jobs',
        { site_name: 'ROLES', prod_source_label: label },
        token === undefined ? {} : { token },
      );
    expect((await take('managed', pilotToken)).message).toBe(
      'no production/pilot role in VOMS FQANs or non pilot owner',
    );
    expect((await take('user', pilotToken)).success).toBe(true);
    expect((await take('user', pilotToken)).message).toBe('No jobs in PanDA');
    const taken = await take('managed');
    expect(taken.data['jobs']).toHaveLength(1);
  });

  it('loses the answers to all where one update of many is wrong, and keeps what it did', async () => {
    const [id = 0] = panda.submit({ site: 'BULK' });
    await v1('pilot/acquire_jobs', { site_name: 'BULK', prod_source_label: 'user' });
    const job_list = [
      { job_id: id, job_status: 'running' },
      { job_id: id, job_status: 'running', bogus: 1 },
    ];
    const answer = await v1('pilot/update_jobs_bulk', { job_list });
    expect(answer).toMatchObject({ success: false, data: [], message: expect.stringContaining("'bogus'") });
    expect(panda.job(id).state).toBe('running');
  });

  it('takes jobs by arrays, and kills them', async () => {
    const jobs = JSON.stringify([
      submission({ computingSite: 'OWN', prodSourceLabel: 'user', transformation: 'true' }, [
        { type: 'output', lfn: 'a' },
      ]),
    ]);
    const answer = await v1('job/submit', { jobs });
    const [[id]] = answer.data as unknown as [[number]];
    expect(panda.job(id).spec).toMatchObject({ site: 'OWN', transformation: 'true' });
    await v1('job/kill', { job_ids: [id] });
    expect(panda.job(id).state).toBe('cancelled');
  });

  it('updates event ranges and answers 500 all the same', async () => {
    const [id = 0] = panda.submit({ site: 'EVENTS', events: 1, taskId: 5 });
    await v1('pilot/acquire_jobs', { site_name: 'EVENTS', prod_source_label: 'user' });
    const ranges = await v1('event/acquire_event_ranges', { job_id: id, jobset_id: 88 });
    const [range] = ranges.data as unknown as [{ eventRangeID: string }];
    const event_ranges = JSON.stringify([{ eventRangeID: range.eventRangeID, eventStatus: 'finished' }]);
    const answer = await ask('/api/v1/event/update_event_ranges', {
      body: JSON.stringify({ event_ranges }),
      headers: { 'content-type': JSON_TYPE },
    });
    expect(answer.status).toBe(500);
    expect(panda.table.events.of(id)[0]?.state).toBe('finished');
    expect((await v1('event/acquire_event_ranges', { job_id: 1, jobset_id: 1 })).data).toEqual([]);
  });

  it('gives keys for tokens hourly, and one token to all who have one', async () => {
    const key = async (): Promise<unknown> => {
      const answer = await ask('/api/v1/creds/get_token_key?client_name=c', {
        headers: { accept: JSON_TYPE },
      });
      return (JSON.parse(answer.text) as { data: { tokenKey: string } }).data.tokenKey;
    };
    const first = await key();
    expect(await key()).toBe(first);
    await clock.run(HOUR_MS);
    const second = await key();
    expect(second).not.toBe(first);
    const token = async (path: string): Promise<string> => (await ask(path)).text;
    const v1Token = await token(`/api/v1/creds/get_access_token?client_name=c&token_key=${String(first)}`);
    expect(v1Token).toContain('user_proxy');
    const legacy = await token(`/server/panda/get_access_token?client_name=c&token_key=${String(second)}`);
    expect(legacy).toMatch(/^\{"StatusCode": 0, "errorDialog": "", "userProxy": "/u);
    expect(await token('/server/panda/get_access_token?client_name=c&token_key=no')).toContain(
      '"StatusCode": 50',
    );
  });
});

describe('the legacy API of the double', () => {
  const update = (fields: object, accept = ''): ReturnType<typeof ask> =>
    ask('/server/panda/updateJob', {
      body: gzipSync(JSON.stringify(fields)),
      headers: { 'content-type': JSON_TYPE, accept },
    });

  it('unzips JSON whatever the headers say, and answers k=v or JSON by Accept', async () => {
    expect((await update({ jobId: '1', state: 'running' })).text).toBe('StatusCode=0&command=tobekilled');
    expect((await update({ jobId: '1', state: 'running' }, JSON_TYPE)).text).toBe(
      '{"StatusCode":0,"command":"tobekilled"}',
    );
    const plain = await ask('/server/panda/updateJob', {
      body: '{"jobId":"1"}',
      headers: { 'content-type': JSON_TYPE },
    });
    expect([plain.status, plain.text]).toEqual([
      500,
      expect.stringContaining('ERROR : received invalid JSON'),
    ]);
  });

  it('changes nothing for an invalid state or no job, and says 0', async () => {
    expect((await update({ jobId: '1', state: 'merging' })).text).toBe('StatusCode=0');
    expect((await update({ jobId: 'NULL', state: 'running' })).text).toBe('StatusCode=0');
  });

  it('gives one job at the top, or a list, and says why there is none in JSON alone', async () => {
    panda.submit({ site: 'OLD', name: 'one' }, { site: 'OLD', name: 'two' });
    const body = 'siteName=OLD&prodSourceLabel=user';
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await ask('/server/panda/getJob', { body, headers })).text).toMatch(
      /^StatusCode=0&PandaID=\d+&prodSourceLabel=user&/u,
    );
    const many = await ask('/server/panda/getJob', {
      body: `${body}&nJobs=2`,
      headers: { ...headers, accept: JSON_TYPE },
    });
    expect(JSON.parse(many.text)).toMatchObject({ StatusCode: 0, jobs: [{ jobName: 'two' }] });
    expect((await ask('/server/panda/getJob', { body, headers })).text).toBe('StatusCode=20');
    const told = await ask('/server/panda/getJob', { body, headers: { ...headers, accept: JSON_TYPE } });
    expect(JSON.parse(told.text)).toEqual({ StatusCode: 20, errorDialog: 'No jobs in PanDA' });
  });

  it('is not there, or the only one, where a server has but one', async () => {
    const old = await startPanda({ dialects: ['legacy'] });
    const answer = await fetch(`${old.url}/api/v1/system/is_alive`);
    expect([answer.status, await answer.text()]).toEqual([403, 'ERROR : method is_alive is forbidden']);
    expect(await (await fetch(`${old.url}/server/panda/isAlive`)).text()).toBe('"alive=yes"');
    await old.close();
  });
});

describe('the states of the double', () => {
  const say = (id: number, status: string, more: { report?: string; attempt?: number } = {}): string =>
    panda.table.update(id, { status, attempt: more.attempt, report: more.report ?? '', fields: {} }).command;
  const taken = (change: object = {}): number => {
    const [id = 0] = panda.submit({ site: 'STATES', ...change });
    panda.table.acquire({
      site: 'STATES',
      count: 9,
      labels: ['user', 'managed'],
      user: null,
      memoryMB: 0,
      diskMB: 0,
      remainingSeconds: 0,
    });
    return id;
  };

  it('are those of the table: what a pilot says, what becomes of it, and what it is told', () => {
    const id = taken();
    const walk = (status: string): readonly [string, string] => [say(id, status), panda.job(id).state];
    expect(walk('holding')).toEqual(['NULL', 'holding']);
    expect(panda.job(id).errors['jobDispatcherErrorDiag']).toMatch(/^set to holding by the pilot at 2026-/u);
    expect(walk('running')).toEqual(['NULL', 'holding']);
    expect(walk('failed')).toEqual(['NULL', 'holding']);
    expect(walk('finished')).toEqual(['alreadydone', 'holding']);
    expect(walk('running')).toEqual(['NULL', 'holding']);
    expect(walk('transferring')).toEqual(['NULL', 'holding']);
    const other = taken();
    expect(say(other, 'running')).toBe('NULL');
    expect([say(other, 'starting'), panda.job(other).state]).toEqual(['NULL', 'running']);
    expect(say(other, 'transferring')).toBe('NULL');
    expect([say(other, 'finished'), panda.job(other).state]).toEqual(['NULL', 'holding']);
    expect(say(999_999, 'running')).toBe('tobekilled');
    expect(say(other, 'running', { attempt: 2 })).toBe('tobekilled');
  });

  it("end by the report: an empty one fails with the adder's words", async () => {
    const id = taken();
    say(id, 'finished');
    await clock.run(1000);
    expect(panda.job(id)).toMatchObject({
      state: 'failed',
      isArchived: true,
      errors: { ddmErrorCode: 200, ddmErrorDiag: 'Could not get GUID/LFN/MD5/FSIZE/SURL from pilot JSON' },
    });
    expect(say(id, 'running')).toBe('tobekilled');
  });

  it.each([
    ['sent', [], {}, 31 * MINUTE_MS, 102],
    ['running', ['running'], {}, 121 * MINUTE_MS, 100],
    ['starting', ['starting'], {}, 121 * MINUTE_MS, 100],
    ['holding, of a user', ['holding'], {}, 181 * MINUTE_MS, 103],
    [
      'holding, of production',
      ['holding'],
      { label: 'managed', priority: 100 },
      48 * HOUR_MS + MINUTE_MS,
      103,
    ],
    ['transferring, of a user', ['transferring'], {}, 121 * MINUTE_MS, 104],
  ] as const)(
    'are ended by the watcher where nothing is heard of one that is %s',
    async (_what, says, change, ms, code) => {
      const id = taken(change);
      for (const status of says) say(id, status);
      await clock.run(ms - 3 * MINUTE_MS);
      expect(panda.job(id).state).not.toBe('failed');
      await clock.run(4 * MINUTE_MS);
      expect(panda.job(id)).toMatchObject({ state: 'failed', errors: { jobDispatcherErrorCode: code } });
    },
  );
});
