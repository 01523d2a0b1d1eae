import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Control, createControl } from '../../../adapters/jobs/local/control.ts';
import { type LocalQueue, openLocalQueue } from '../../../adapters/jobs/local/local-queue.ts';
import type { Submission } from '../../../adapters/jobs/local/queued-job.ts';
import { type ControlClient, createControlClient, type StreamLine } from '../../../cli/control-client.ts';
import { createLog } from '../../../protocol/runtime/log.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { wanted } from '../../conformance/job-adapter.ts';

const log = createLog('test', { level: 'silent' });
const job = { label: 'one', priority: 0, retries: 1, description: wanted('x').description };
const submission = (count: number, key = 'key'): Submission => ({
  key,
  queue: 'main',
  campaign: 'tests',
  owner: 'tester',
  jobs: Array.from({ length: count }, (_, index) => ({ ...job, label: `job ${index}` })),
});

describe('the control interface of the local queue', () => {
  let directory: string;
  let path: string;
  let queue: LocalQueue;
  let control: Control;
  let client: ControlClient;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'co-pilot-control-'));
    path = join(directory, 'run', 'control');
    queue = await openLocalQueue({ path: join(directory, 'queue.sqlite'), random: nodeRandom, log });
    control = createControl({ queue, path, log });
    client = createControlClient({ socketPath: path });
    await control.start();
  });
  afterEach(async () => {
    await control.stop();
    await queue.close();
    await rm(directory, { recursive: true });
  });

  const raw = async (
    method: string,
    address: string,
    body?: string,
  ): Promise<{ status: number | undefined; text: string }> => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const outgoing = request({ socketPath: path, method, path: address, headers, agent: false });
    outgoing.end(body);
    const response = await answerOf(outgoing);
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode, text };
  };

  it('submits, lists, shows, cancels, retries and counts', async () => {
    const { jobs, repeated } = await client.submit(submission(3));
    expect(repeated).toBe(false);
    expect((await client.list({ campaign: 'tests', limit: 2 })).jobs).toHaveLength(2);
    expect(await client.show(jobs[0]!)).toMatchObject({
      label: 'job 0',
      state: 'pending',
      description: job.description,
    });
    expect(await client.cancel(jobs[0]!)).toMatchObject({ state: 'cancelled' });
    const again = await client.retry(jobs[0]!);
    expect(await client.show(again)).toMatchObject({ retryOf: jobs[0], state: 'pending' });
    expect(await client.counts('tests')).toMatchObject({ total: 3, retried: 1, states: { pending: 3 } });
  });

  it('splits a large submission, and a repeat adds nothing', async () => {
    const first = await client.submit(submission(2_500));
    expect(first.jobs).toHaveLength(2_500);
    expect(await client.submit(submission(2_500))).toEqual({ jobs: first.jobs, repeated: true });
    expect((await client.counts('tests')).total).toBe(2_500);
  });

  it('streams every change of a campaign as it becomes durable', async () => {
    const lines: StreamLine[] = [];
    const stop = new AbortController();
    const following = (async () => {
      for await (const line of client.events('tests', stop.signal)) lines.push(line);
    })();
    await vi.waitFor(() => expect(lines).toEqual([{ kind: 'open' }]));
    const { jobs } = await client.submit(submission(1));
    await client.submit({ ...submission(1, 'other'), campaign: 'others' });
    await client.cancel(jobs[0]!);
    await vi.waitFor(() => expect(lines).toHaveLength(3));
    expect(lines.slice(1)).toMatchObject([
      { kind: 'change', job: jobs[0], state: 'pending', campaign: 'tests' },
      { kind: 'change', job: jobs[0], state: 'cancelled' },
    ]);
    stop.abort();
    await following;
  });

  it('ends the streams when it stops', async () => {
    const lines: StreamLine[] = [];
    const following = (async () => {
      for await (const line of client.events(undefined, new AbortController().signal)) lines.push(line);
    })();
    await vi.waitFor(() => expect(lines).toHaveLength(1));
    await control.stop();
    await following;
  });

  it('refuses the 65th follower, and one again after another left', async () => {
    const sockets = Array.from({ length: 64 }, () => connect(path));
    for (const socket of sockets) {
      socket.write('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n');
      await once(socket, 'data');
    }
    expect(await raw('GET', '/v1/events')).toMatchObject({
      status: 503,
      text: expect.stringContaining('QUEUE_UNAVAILABLE'),
    });
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(async () => {
      const stop = new AbortController();
      const stream = client.events(undefined, stop.signal);
      expect((await stream.next()).value).toEqual({ kind: 'open' });
      stop.abort();
      await stream.return(undefined);
    });
  });

  it.each<[string, string, string, string | undefined, number, string]>([
    ['no JSON', 'POST', '/v1/jobs', '{', 400, 'INVALID_REQUEST'],
    [
      'an unknown field',
      'POST',
      '/v1/jobs',
      JSON.stringify({ ...submission(1), extra: 1 }),
      400,
      'INVALID_REQUEST',
    ],
    ['too many jobs', 'POST', '/v1/jobs', JSON.stringify(submission(1001)), 400, 'INVALID_REQUEST'],
    ['no jobs', 'POST', '/v1/jobs', JSON.stringify(submission(0)), 400, 'INVALID_REQUEST'],
    [
      'a number as text',
      'POST',
      '/v1/jobs',
      JSON.stringify({ ...submission(1), jobs: [{ ...job, priority: '1' }] }),
      400,
      'INVALID_REQUEST',
    ],
    ['no body', 'POST', '/v1/jobs', undefined, 400, 'INVALID_REQUEST'],
    ['an unknown state', 'GET', '/v1/jobs?state=asleep', undefined, 400, 'INVALID_REQUEST'],
    ['an unknown filter', 'GET', '/v1/jobs?sql=drop', undefined, 400, 'INVALID_REQUEST'],
    ['a huge page', 'GET', '/v1/jobs?limit=1000000', undefined, 400, 'INVALID_REQUEST'],
    ['a path as a job', 'GET', '/v1/jobs/..%2f..%2fetc%2fpasswd', undefined, 400, 'INVALID_REQUEST'],
    ['an unknown job', 'GET', `/v1/jobs/${'z'.repeat(26)}`, undefined, 404, 'NOT_FOUND'],
    ['an unknown campaign', 'GET', '/v1/campaigns/nobody', undefined, 404, 'NOT_FOUND'],
    ['an unknown address', 'GET', '/v2/jobs', undefined, 404, 'NOT_FOUND'],
  ])('refuses %s', async (_, method, address, body, status, code) => {
    const answer = await raw(method, address, body);
    expect([answer.status, JSON.parse(answer.text)]).toEqual([status, { code, message: expect.any(String) }]);
    expect(queue.list({}).jobs).toEqual([]);
  });

  it('refuses a huge body by its announcement', async () => {
    const headers = { 'content-type': 'application/json', 'content-length': 16 * 1024 * 1024 + 1 };
    const outgoing = request({ socketPath: path, method: 'POST', path: '/v1/jobs', headers, agent: false });
    outgoing.flushHeaders();
    const response = await answerOf(outgoing);
    expect(response.statusCode).toBe(400);
    outgoing.destroy();
  });

  it('names the job and field that is wrong', async () => {
    const wrong = {
      ...submission(2),
      jobs: [job, { ...job, description: { ...job.description, command: '' } }],
    };
    await expect(client.submit(wrong)).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringMatching(/jobs\/1\/description\/command/),
    });
  });

  it('is for its user alone', async () => {
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, 'run'))).mode & 0o777).toBe(0o700);
  });

  it('refuses a directory that others may enter, and leaves its mode alone', async () => {
    const open = join(directory, 'open');
    await mkdir(open);
    await chmod(open, 0o755);
    const other = createControl({ queue, path: join(open, 'control'), log });
    await expect(other.start()).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    expect((await stat(open)).mode & 0o777).toBe(0o755);
    await other.stop();
  });

  it('refuses a socket that somebody answers at, and takes one that nobody does', async () => {
    const second = createControl({ queue, path, log });
    await expect(second.start()).rejects.toMatchObject({ code: 'PORT_TAKEN' });
    await second.stop();
    expect((await client.list()).jobs).toEqual([]);
    const stale = join(directory, 'run', 'stale');
    await leaveSocket(stale);
    const third = createControl({ queue, path: stale, log });
    await third.start();
    expect((await createControlClient({ socketPath: stale }).list()).jobs).toEqual([]);
    await third.stop();
  });

  it('never removes a file that is no socket', async () => {
    const file = join(directory, 'run', 'thesis');
    await writeFile(file, 'my thesis');
    const other = createControl({ queue, path: file, log });
    await expect(other.start()).rejects.toMatchObject({ code: 'PORT_TAKEN' });
    expect((await stat(file)).size).toBe(9);
    await other.stop();
  });

  it('refuses a path no socket can have', async () => {
    const other = createControl({ queue, path: join(directory, 'x'.repeat(120)), log });
    await expect(other.start()).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await other.stop();
  });

  it('says UNREACHABLE with the next step where nothing runs, and TIMEOUT where nothing answers', async () => {
    const nowhere = createControlClient({ socketPath: join(directory, 'nowhere') });
    await expect(nowhere.list()).rejects.toMatchObject({ code: 'UNREACHABLE', message: /co-pilot up/ });
    const deaf = createServer();
    deaf.listen(join(directory, 'deaf'));
    await once(deaf, 'listening');
    const held: { destroy(): unknown }[] = [];
    deaf.on('connection', (socket) => held.push(socket));
    const patient = createControlClient({ socketPath: join(directory, 'deaf'), timeoutMs: 50 });
    await expect(patient.list()).rejects.toMatchObject({ code: 'TIMEOUT' });
    for (const socket of held) socket.destroy();
    deaf.close();
    await once(deaf, 'close');
  });
});

/** An error after the answer is no error: the server may close before it took a whole body. */
function answerOf(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.on('error', reject);
  });
}

/** Leaves a socket file behind that nobody listens at, as a killed program does. */
async function leaveSocket(path: string): Promise<void> {
  const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', program], { stdio: 'ignore' }), 'close');
  expect((await stat(path)).isSocket()).toBe(true);
}
