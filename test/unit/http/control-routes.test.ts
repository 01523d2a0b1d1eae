import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CodeTerms } from '../../../broker/enrolment/code-store.ts';
import { createEnrolment } from '../../../broker/enrolment/enrolment.ts';
import { createMemoryCodeStore } from '../../../broker/enrolment/memory-code-store.ts';
import { createControlServer } from '../../../broker/http/control-routes.ts';
import { decodeEnrolmentCode } from '../../../protocol/enrolment.ts';
import { type BrokerStage, createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { createRawAgent } from '../../doubles/raw-agent.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const UNKNOWN = 'a'.repeat(26);
const CODE = { owner: 'somebody', site: 'home', seconds: 3_600 };

let stage: BrokerStage;
let server: FastifyInstance;
/** Of the codes that were made. */
let terms: CodeTerms[];

beforeEach(async () => {
  terms = [];
  stage = await createBrokerStage({ seed: 5 });
  const codes = createMemoryCodeStore();
  const enrolment = createEnrolment({
    runtime: stage.runtimeOf('broker'),
    installation: STAGE,
    identityKey: stage.identityKey,
    certifier: stage.certifier.publicKey,
    codes: {
      ...codes,
      add(digest, added, expiresMs) {
        terms.push(added);
        return codes.add(digest, added, expiresMs);
      },
    },
    publicUrl: () => 'https://broker.example.org',
    busUrls: () => ['wss://broker.example.org/bus'],
    agent: (id) => stage.ledger.agent(id),
  });
  const { broker, ledger, clock } = stage;
  server = createControlServer({ broker, enrolment, ledger, queues: [], metrics, clock, log: silentLog });
});
afterEach(async () => {
  await server.close();
  await stage.stop();
});

const metrics = { contentType: 'text/plain', text: async () => 'copilot_jobs 1\n' };

async function get(url: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const { statusCode: status, body } = await server.inject({ url });
  return { status, body: JSON.parse(body) as unknown };
}

async function post(
  url: string,
  payload: object,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const { statusCode: status, body } = await server.inject({ method: 'POST', url, payload });
  return { status, body: JSON.parse(body) as unknown };
}

async function submitted(count: number): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, () => stage.submit());
  await stage.clock.run(1_000);
  return ids;
}

describe('what an operator may see', () => {
  it('the broker’s state and how many jobs are in which', async () => {
    await submitted(2);
    expect(await get('/v1/status')).toMatchObject({
      status: 200,
      body: { connectedAgents: 0, adapters: { jobs: true, storage: true }, jobs: { queued: 2 } },
    });
  });

  it('a job with its description, by its id', async () => {
    const [job] = await submitted(1);
    expect(await get(`/v1/jobs/${job}`)).toMatchObject({
      status: 200,
      body: { job: { id: job, state: 'queued' }, description: expect.stringContaining('events.dat') },
    });
  });

  it.each(['/v1/jobs/', '/v1/agents/'])('%s: what is not there is NOT_FOUND', async (path) => {
    expect(await get(`${path}${UNKNOWN}`)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    expect(await get(`${path}${encodeURIComponent("' OR 1=1 --")}`)).toMatchObject({ status: 404 });
  });

  it('all jobs, page by page', async () => {
    const ids = await submitted(4);
    const page = async (query: string): Promise<readonly string[]> => {
      const { jobs } = (await get(`/v1/jobs${query}`)).body as { jobs: { job: { id: string } }[] };
      return jobs.map(({ job }) => job.id);
    };
    expect(await page('')).toEqual(ids);
    expect(await page('?limit=3')).toEqual(ids.slice(0, 3));
    expect(await page(`?limit=3&after=${ids[2]}`)).toEqual(ids.slice(3));
    for (const wrong of ['0', 'all', '1e9', '']) expect(await page(`?limit=${wrong}`)).toEqual(ids);
    expect(await page('?limit=-5')).toEqual(ids.slice(0, 1));
  });

  it('that the ledger cannot be read, by its code', async () => {
    await stage.ledger.close();
    expect(await get('/v1/status')).toMatchObject({ status: 500, body: { code: 'LEDGER_UNAVAILABLE' } });
  });
});

describe('a one-use code', () => {
  it('is made for an owner and a time', async () => {
    const { status, body } = await post('/v1/codes', CODE);
    expect([status, body]).toMatchObject([200, { seconds: 3_600 }]);
    expect(decodeEnrolmentCode((body as { code: string }).code).secret).toMatch(/./);
  });

  it.each([
    ['an owner with a slash', { owner: '../root' }],
    ['an owner in upper case', { owner: 'Somebody' }],
    ['no site', { site: '' }],
    ['no time', { seconds: 0 }],
    ['more than a month', { seconds: 31 * 24 * 3_600 }],
    ['a time that is no number', { seconds: 'long' }],
  ])('is not made with %s (INVALID_REQUEST)', async (_what, wrong) => {
    expect(await post('/v1/codes', { ...CODE, ...wrong })).toMatchObject({
      status: 400,
      body: { code: 'INVALID_REQUEST' },
    });
  });

  it('makes agents of no tier but the lowest, whatever is asked', async () => {
    await post('/v1/codes', { ...CODE, tier: 'trusted' });
    expect(terms).toEqual([{ owner: 'somebody', site: 'home', tier: 'untrusted' }]);
  });
});

describe('an agent', () => {
  it('is shown, and taken out by its id', async () => {
    const agent = await createRawAgent(stage, stage.enrol(), STAGE);
    await agent.hear('welcome');
    const url = `/v1/agents/${agent.enrolled.agent}`;
    expect(await get(url)).toMatchObject({ status: 200, body: { status: 'active', owner: 'somebody' } });
    expect(await post(`${url}/revoke`, {})).toMatchObject({ status: 200, body: { status: 'revoked' } });
    expect(await agent.hear('farewell')).toMatchObject({ code: 'REVOKED' });
    expect(await get(url)).toMatchObject({ body: { status: 'revoked' } });
  });

  it('is listed with what it holds, page by page', async () => {
    const joined = [stage.enrol(), stage.enrol(), stage.enrol()];
    for (const enrolled of joined) await (await createRawAgent(stage, enrolled, STAGE)).hear('welcome');
    const ids = joined.map(({ agent }) => agent).sort();
    const first = (await get('/v1/agents?limit=2')).body as { agents: { agent: string }[]; next: string };
    expect(first.agents.map(({ agent }) => agent)).toEqual(ids.slice(0, 2));
    expect(first.next).toBe(ids[1]);
    await stage.clock.run(5_000);
    expect((await get(`/v1/agents?limit=2&after=${first.next}`)).body).toEqual({
      agents: [
        {
          ...{ agent: ids[2], owner: 'somebody', site: 'home', tier: 'untrusted', status: 'active' },
          ...{
            place: true,
            connected: true,
            live: 0,
            unresolved: 0,
            lastHeardSeconds: 5,
            coolDownSeconds: 0,
          },
        },
      ],
    });
    for (const wrong of ['limit=0', 'limit=all', 'limit=1001', `after=${'a'.repeat(65)}`])
      expect(await get(`/v1/agents?${wrong}`)).toMatchObject({ status: 400 });
  });

  it('is drained and wanted again; one that is out cannot be (CONFLICT)', async () => {
    const agent = await createRawAgent(stage, stage.enrol(), STAGE);
    await agent.hear('welcome');
    const url = `/v1/agents/${agent.enrolled.agent}`;
    expect(await post(`${url}/drain`, { draining: true })).toMatchObject({ body: { status: 'draining' } });
    expect(await agent.hear('notice')).toMatchObject({ command: 'drain' });
    expect(await post(`${url}/drain`, { draining: false })).toMatchObject({ body: { status: 'active' } });
    expect(await post(`${url}/drain`, {})).toMatchObject({ status: 400 });
    await post(`${url}/revoke`, {});
    expect(await post(`${url}/drain`, { draining: false })).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT' },
    });
    expect(await post(`/v1/agents/${UNKNOWN}/drain`, { draining: true })).toMatchObject({ status: 404 });
  });

  it('that nobody knows is not taken out', async () => {
    expect(await post(`/v1/agents/${UNKNOWN}/revoke`, {})).toMatchObject({ status: 404 });
    expect(await stage.ledger.agent(UNKNOWN)).toBeUndefined();
  });
});
