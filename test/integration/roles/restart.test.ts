import { createHash, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkLedger } from '../../../broker/ledger/check-ledger.ts';
import { createControlClient } from '../../../cli/control-client.ts';
import { askBroker } from '../../../cli/connection.ts';
import { controlSocket, openInstallation, type Role } from '../../../cli/installation.ts';
import { createResultStore } from '../../../cli/result-store.ts';
import { RunningCommand } from '../../doubles/co-pilot-command.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const START_MS = 50_000;
/** The bridge lets transfers end for 5 s; nothing else waits. */
const STOP_MS = 20_000;
const ENOUGH = 20;

let directory: string;
let installation: Awaited<ReturnType<typeof openInstallation>>;
let programs: RunningCommand[];
beforeEach(async () => {
  directory = await temporaryDirectory('restart');
  installation = await openInstallation({ directory });
  programs = [];
});
afterEach(async () => {
  for (const program of programs) await program.kill();
  await removeDirectory(directory);
});

async function start(role: Role): Promise<RunningCommand> {
  const program = new RunningCommand(['up', '--role', role, '--data', directory]);
  programs.push(program);
  await program.says('"event":"ready"', START_MS);
  return program;
}

/** Does something again and again until it fails because the program ends; answers what was acknowledged. */
async function until<T>(program: RunningCommand, act: (at: number) => Promise<T>): Promise<readonly T[]> {
  const done: T[] = [];
  let isOver = false;
  const working = (async () => {
    for (let at = 0; !isOver; at += 1) done.push(await act(at));
  })().catch(() => undefined); // it ended in the middle: that one was not acknowledged
  await eventuallyTrue('enough to be under way', () => done.length >= ENOUGH, START_MS);
  program.signal('SIGTERM');
  expect(await program.endsWithin(STOP_MS)).toMatchObject({ code: 0, signal: null });
  isOver = true;
  await working;
  return done;
}

it('the local queue ends with 0 under load, and every submission it acknowledged is there at the next start', async () => {
  const queue = createControlClient({ socketPath: controlSocket(directory, 'local') });
  const description = {
    command: 'true',
    arguments: [],
    environment: {},
    inputs: [],
    outputs: [],
    limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 1 },
    requirements: '',
  };
  const taken = await until(await start('local'), async (at) => {
    const jobs = [{ label: `job-${at}`, priority: 0, retries: 0, description }];
    const submission = { key: randomUUID(), queue: 'main', campaign: 'load', owner: 'you', jobs };
    return (await queue.submit(submission)).jobs[0] ?? '';
  });
  await start('local');
  for (const job of taken) expect(await queue.show(job)).toMatchObject({ job, state: 'pending' });
});

it('the bridge ends with 0 under load, and every input it acknowledged is there at the next start', async () => {
  const { host, port, operatorToken } = installation.configurations.bridge;
  const url = `http://${host}:${port}`;
  const store = createResultStore({ url, operatorToken });
  const taken = await until(await start('bridge'), async (at) => {
    const content = `input ${at}`;
    const sha256 = createHash('sha256').update(content).digest('hex');
    await store.put({ kind: 'content', content, sha256, size: Buffer.byteLength(content) });
    return sha256;
  });
  await start('bridge');
  for (const sha256 of taken) expect(await statusOf(`${url}/v1/inputs/${sha256}`, operatorToken)).toBe(200);
});

function statusOf(url: string, token: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'HEAD', headers: { authorization: `Bearer ${token}` } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    call.once('error', reject).end();
  });
}

it('the broker ends with 0 while it takes jobs, its ledger is sound, and it goes on from there', async () => {
  const queue = createControlClient({ socketPath: controlSocket(directory, 'local') });
  await start('local');
  const broker = await start('broker');
  const description = {
    command: 'true',
    arguments: [],
    environment: {},
    inputs: [],
    outputs: [],
    limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 1 },
    requirements: '',
  };
  const jobs = await until(broker, async (at) => {
    const one = [{ label: `job-${at}`, priority: 0, retries: 0, description }];
    const submission = { key: randomUUID(), queue: 'main', campaign: 'load', owner: 'you', jobs: one };
    const job = (await queue.submit(submission)).jobs[0] ?? '';
    await askBroker(directory, 'GET', '/v1/status');
    return job;
  });
  expect(checkLedger(join(directory, 'broker/ledger.sqlite'), () => undefined).faults).toEqual([]);
  await start('broker');
  const reached = async (): Promise<number> =>
    (await askBroker<{ readonly jobs: { readonly queued?: number } }>(directory, 'GET', '/v1/status')).jobs
      .queued ?? 0;
  await eventuallyTrue(
    'the broker to have what its prefetch takes',
    async () => (await reached()) >= Math.min(jobs.length, 64),
    START_MS,
  );
  for (const job of (await queue.list({ state: 'accepted' })).jobs)
    expect(await askBroker(directory, 'GET', `/v1/jobs/${job.job}`)).toMatchObject({ job: { id: job.job } });
});
