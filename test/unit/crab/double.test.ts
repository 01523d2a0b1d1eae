import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frontEndSignature } from '../../doubles/crab/authentication.ts';
import { createCrabClient } from '../../doubles/crab/client.ts';
import { type CrabDouble, startCrabDouble } from '../../doubles/crab/crab-double.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const KEY = Buffer.alloc(20, 7);
const TASK = '260101_000000:alice_study';

describe('the CRAB double', () => {
  let crab: CrabDouble;
  const clock = createManualClock();
  beforeAll(async () => {
    crab = await startCrabDouble({
      clock,
      authentication: { hmacKey: KEY, anyone: 'alice' },
      aso: { stepMs: 1000 },
    });
    crab.tasks.insert(TASK, {});
  });
  afterAll(async () => crab.stop());

  const call = (
    method: string,
    api: string,
    parameters: Record<string, string>,
    headers = {},
  ): Promise<Response> => {
    const form = new URLSearchParams(parameters);
    return method === 'GET' || method === 'DELETE'
      ? fetch(`${crab.url}/${api}?${form.toString()}`, { method, headers })
      : fetch(`${crab.url}/${api}`, { method, headers, body: form });
  };
  const appCode = async (answer: Promise<Response>): Promise<readonly (number | string | null)[]> => {
    const response = await answer;
    return [response.status, response.headers.get('x-rest-status')];
  };

  it('answers rows a line each, with its own headers', async () => {
    const answer = await call('GET', 'info', {});
    expect(await answer.text()).toMatch(/^\{"result": \[\n \{"crabserver":"Welcome".*\}\n\]\}\n$/);
    expect(answer.headers.get('x-rest-status')).toBe('100');
    expect(answer.headers.get('x-rest-time')).toMatch(/^[0-9]+ us$/);
  });

  it('has an application code for everything that is wrong', async () => {
    const base = crab.url.replace(/\/dev$/, '');
    expect(await appCode(fetch(`${base}/prod/info`))).toEqual([404, '206']);
    expect(await appCode(fetch(`${crab.url}/nothing`))).toEqual([404, '207']);
    expect(await appCode(fetch(base))).toEqual([400, '205']);
    expect(await appCode(call('DELETE', 'workflowdb', {}))).toEqual([405, '203']);
    expect(await appCode(call('GET', 'task', {}))).toEqual([400, '301']);
    expect(await appCode(call('GET', 'task', { subresource: 'status', workflow: '../x' }))).toEqual([
      400,
      '302',
    ]);
    expect(await appCode(call('GET', 'task', { subresource: 'status', workflow: TASK, more: '1' }))).toEqual([
      400,
      '302',
    ]);
    expect(
      await appCode(call('POST', 'workflowdb', { workflow: 'none', status: 'NEW', command: 'KILL' })),
    ).toEqual([400, '303']);
    const refused = await call('GET', 'task', { subresource: 'status', workflow: 'none' });
    expect(refused.headers.get('x-error-id')).toMatch(/^[0-9a-f]{32}$/);
    expect(refused.headers.get('x-error-info')).toContain('none');
  });

  it('believes a front end by its signature alone', async () => {
    const headers = {
      'cms-auth-status': 'OK',
      'cms-authn-login': 'bob',
      'cms-authn-dn': '/CN=bob',
      'cms-authz-operator': 'group:crab3',
    };
    const signed = { ...headers, 'cms-authn-hmac': frontEndSignature(headers, KEY).toString('hex') };
    const edit = { subresource: 'edit', workflow: TASK, column: 'tm_dagman_status', value: 'RUNNING' };
    expect((await call('POST', 'task', edit, signed)).status).toBe(200);
    expect((await call('POST', 'task', edit, { ...signed, 'cms-authn-login': 'eve' })).status).toBe(403);
    expect((await call('POST', 'task', edit, headers)).status).toBe(403);
    expect((await call('POST', 'task', edit)).status).toBe(403);
  });

  it('gives tasks to workers as its SQL does: any of that state, none is no error, names by LIKE', async () => {
    const names = ['a', 'b', 'c'].map((name) => `260101_000000:alice_sql_${name}`);
    for (const name of names) crab.tasks.insert(name, { tm_task_status: 'TAPERECALL' });
    const process = {
      subresource: 'process',
      workername: 'tw_1',
      getstatus: 'TAPERECALL',
      limit: '2',
      status: 'KILLRECALL',
    };
    expect((await call('POST', 'workflowdb', { ...process, getstatus: 'NOBODY' })).status).toBe(200);
    expect((await call('POST', 'workflowdb', process)).status).toBe(200);
    const get = async (workername: string, limit = '9'): Promise<readonly unknown[]> => {
      const answer = await call('GET', 'workflowdb', {
        workername,
        getstatus: 'KILLRECALL',
        limit,
        months: '2',
      });
      return ((await answer.json()) as { readonly result: readonly unknown[] }).result;
    };
    expect((await get('tw_1')).length).toBe(2);
    expect((await get('%')).length).toBe(2);
    expect((await get('t%1')).length).toBe(2);
    expect((await get('tw_2')).length).toBe(0);
    expect((await get('tw_1', '1')).length).toBe(1);
    expect((await get('tw_1'))[0]).toMatchObject({
      tm_split_args: { events_per_job: 10 },
      resubmit_jobids: null,
    });
  });

  it('keeps a sandbox once, behind signed addresses that end', async () => {
    const client = createCrabClient(crab.url);
    const name = await client.upload([{ name: 'a', content: 'x' }]);
    expect(await client.upload([{ name: 'a', content: 'x' }])).toBe(name);
    const again = await call('GET', 'cache', {
      subresource: 'upload',
      objecttype: 'sandbox',
      tarballname: name,
    });
    expect(((await again.json()) as { result: unknown }).result).toEqual(['', {}]);
    const [address] = (
      (await (
        await call('GET', 'cache', {
          subresource: 'download',
          objecttype: 'sandbox',
          username: 'alice',
          tarballname: name,
        })
      ).json()) as { readonly result: readonly string[] }
    ).result;
    const bytes = Buffer.from(await (await fetch(address!)).arrayBuffer());
    expect(`${createHash('sha256').update(bytes).digest('hex')}.tar.gz`).toBe(name);
    expect((await fetch(address!.replace(/Signature=./, 'Signature='))).status).toBe(403);
    clock.jumpWall(31 * 86_400_000);
    expect((await fetch(address!)).status).toBe(403);
    clock.jumpWall(-31 * 86_400_000);
  });

  it('moves files in steps, tries again twice, and refuses a second row of an id', async () => {
    const id = createHash('sha224').update('/store/temp/x').digest('hex');
    const row = {
      id,
      username: 'alice',
      taskname: TASK,
      destination: 'T2_CH_CERN',
      destination_lfn: '/store/x',
      source: 'T3_CH_Volunteer',
      source_lfn: '/store/temp/x',
      filesize: '1',
      publish: '0',
      transfer_state: 'NEW',
      publication_state: 'NOT_REQUIRED',
      job_id: '1',
      job_retry_count: '0',
      type: 'output',
      start_time: '1',
    };
    const state = async (): Promise<unknown> => {
      const answer = await call('GET', 'fileusertransfers', { subresource: 'getById', id });
      const { desc, result } = (await answer.json()) as {
        readonly desc: { readonly columns: readonly string[] };
        readonly result: readonly (readonly unknown[])[];
      };
      return result[0]?.[desc.columns.indexOf('tm_transfer_state')];
    };
    expect(await state()).toBeUndefined();
    crab.transfers.failNext(1);
    expect((await call('PUT', 'fileusertransfers', row)).status).toBe(200);
    expect(await appCode(call('PUT', 'fileusertransfers', row))).toEqual([500, '403']);
    const seen: unknown[] = [await state()];
    for (let step = 0; step < 9; step++) {
      clock.advance(1000);
      seen.push(await state());
    }
    expect(seen).toEqual([0, 1, 5, 4, 1, 5, 4, 1, 5, 2]);
    expect(
      await appCode(
        call('POST', 'fileusertransfers', {
          subresource: 'killTransfers',
          username: 'alice',
          taskname: TASK,
        }),
      ),
    ).toEqual([400, '301']);
  });
});
