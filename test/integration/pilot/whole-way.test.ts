import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobAdapter } from '../../../adapters/jobs/job-adapter.ts';
import { runAgent } from '../../../agent/main.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Part } from '../../../protocol/generated/types.ts';
import { openLiveBroker, type LiveBroker } from '../../doubles/live-broker.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

/** The least that a pilot and an event service payload do, over the end points that the agent gives them. */
const PAYLOAD = `
import json, os, urllib.error, urllib.parse, urllib.request as http
def post(url, body, **headers):
    return http.urlopen(http.Request(url, body.encode(), headers)).read().decode()
server = os.environ['COPILOT_PILOT_URL'] + '/server/panda/'
form = {'Content-Type': 'application/x-www-form-urlencoded'}
job = urllib.parse.parse_qs(post(server + 'getJob', 'siteName=CP_TEST', **form))
ranges = json.loads(post(os.environ['COPILOT_PARTS_URL'] + '/take', ''))['parts']
post(os.environ['COPILOT_PARTS_URL'] + '/finish', json.dumps({'parts': [part['id'] for part in ranges]}))
try:
    post(server + 'killJobs', 'ids=1', **form)
except urllib.error.HTTPError as refused:
    words = refused.read().decode()
folder = os.path.join(os.environ['COPILOT_PILOT_OUTPUTS'], 'user', 'cp')
os.makedirs(folder)
with open(os.path.join(folder, 'user.out'), 'w') as file:
    file.write(job['jobPars'][0] + ' ' + ranges[0]['body'] + ' ' + words)
post(server + 'updateJob', 'jobId=4001&state=finished', **form)
`;
const RESULT = 'hello events 1 to 10 ERROR : method killJobs is forbidden';

let live: LiveBroker;
let directory: string;
let ended: Promise<number>;
const stopping = new AbortController();
const said: string[] = [];
const asked: string[] = [];

beforeAll(async () => {
  live = await openLiveBroker();
  const call: JobAdapter['call'] = async (job, attempt, method, body) => {
    const { body: form = '' } = JSON.parse(body) as { readonly body?: string };
    asked.push(`${job} ${attempt} ${method} ${Buffer.from(form, 'base64').toString()}`);
    if (method !== 'getJob' && method !== 'updateJob') throw new CoPilotError('UNSUPPORTED', method);
    const reply =
      method === 'getJob' ? 'StatusCode=0&PandaID=4001&jobPars=hello' : 'StatusCode=0&command=NULL';
    return JSON.stringify({
      status: 200,
      contentType: 'text/plain',
      body: Buffer.from(reply).toString('base64'),
    });
  };
  const parts: JobAdapter['parts'] = async (job, attempt, verb, ids): Promise<readonly Part[]> => {
    asked.push(`${job} ${attempt} ${verb} ${ids.join()}`);
    return verb === 'take' ? [{ id: '77-4001-1-1-1', body: 'events 1 to 10' }] : [];
  };
  Object.assign(live.framework, { call, parts });
  directory = await temporaryDirectory('whole-way');
  ended = runAgent({
    directory: join(directory, 'agent'),
    code: await live.newCode(),
    slots: 1,
    isolation: 'bubblewrap',
    drainSeconds: 0,
    json: true,
    signal: stopping.signal,
    write: (line) => said.push(line),
  });
});
afterAll(async () => {
  stopping.abort();
  expect(await ended).toBe(0);
  await live.close();
  await removeDirectory(directory);
});

describe('a pilot, from its HTTP to the framework', () => {
  it('asks its job’s adapter by way of agent and broker, and leaves a result', async () => {
    const job = live.submit({
      command: 'python3',
      arguments: ['-c', PAYLOAD],
      outputs: [{ name: 'user.out' }],
      limits: { wallSeconds: 60, memoryMiB: 256, diskMiB: 16 },
      requirements: 'HasPilotMode',
      pilot: { dialect: 'panda' },
      parts: true,
    });
    const record = await live.end(job);
    expect(record.progress, said.slice(-5).join('\n')).toMatchObject({ state: 'finished' });
    expect(JSON.stringify(record)).toContain(createHash('sha256').update(RESULT).digest('hex'));
    expect(asked).toEqual([
      `${job} 1 getJob siteName=CP_TEST`,
      `${job} 1 take `,
      `${job} 1 finish 77-4001-1-1-1`,
      `${job} 1 updateJob jobId=4001&state=finished`,
    ]);
  });
});
