import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAdapter } from '../../../adapters/jobs/http-queue/main.ts';
import type { FrameworkProgram } from '../../../adapters/jobs/kit/framework-kind.ts';
import { loadConfiguration } from '../../../cli/configuration/load.ts';
import { frameworkRole, readFramework, roleDirectory } from '../../../cli/installation.ts';
import { freePorts } from '../../../cli/configuration/generated.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { type HttpQueueServer, startHttpQueue } from '../../doubles/http-queue/server.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const TOKEN = 'canary-token-of-the-queue';
const WITHIN_MS = 15_000;
const JOB = {
  ...{ owner: 'ann', campaign: 'first', priority: 0, command: './run.sh', arguments: [], environment: {} },
  ...{ files: { 'run.sh': '#!/bin/sh\n' }, outputs: ['out.txt'], requirements: '' },
  ...{ wallSeconds: 60, memoryMiB: 64, diskMiB: 16 },
};

let folder: string;
let queue: HttpQueueServer;
let broker: LiveBroker;
let program: FrameworkProgram;

beforeAll(async () => {
  folder = await temporaryDirectory('framework-program');
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, TOKEN, { mode: 0o600 });
  queue = await startHttpQueue({ clock: nodeClock, token: TOKEN });
  const [metricsPort] = await freePorts('127.0.0.1', 1);
  const entry = { kind: 'http-queue', url: queue.url, queues: { main: 'night' }, tokenFile, metricsPort };
  const flags = [
    `frameworks=${JSON.stringify({ 'site-queue': entry })}`,
    'queues.main.jobAdapter=site-queue',
  ];
  broker = await openLiveBroker({ jobs: 'local queue', busServer: { flags, start: async () => undefined } });
  const { directory } = broker;
  const own = await loadConfiguration({ directory, environment: {}, flags });
  const configuration = (await readFramework(directory, 'site-queue', own))!;
  const role = roleDirectory(directory, frameworkRole('site-queue'));
  program = await startAdapter({ directory: role, configuration, log: silentLog });
});

afterAll(async () => {
  await program.stop();
  await broker.close();
  await queue.close();
  await removeDirectory(folder);
});

it('brings a job from its queue to an agent and its result back, over the bus', async () => {
  const [id = ''] = queue.queue.submit('night', [JOB]);
  const agent = await broker.agent();
  const lease = await agent.takeJob();
  expect(lease.description).toMatchObject({
    command: './run.sh',
    inputs: [{ name: 'run.sh', executable: true }],
  });
  expect(JSON.stringify(lease)).not.toContain(TOKEN);
  await eventuallyTrue(
    'the queue to hear that it runs',
    () => queue.queue.job(id)?.state === 'running',
    WITHIN_MS,
  );
  const file = await agent.upload(lease, 'out.txt', Buffer.from('result'));
  expect(await agent.ask(agent.report(lease, [file]))).toMatchObject({ verdict: 'committed' });
  await eventuallyTrue(
    'the queue to have the result',
    () => queue.queue.job(id)?.state === 'finished',
    WITHIN_MS,
  );
  expect(queue.queue.job(id)?.files).toMatchObject([{ name: 'out.txt', size: 6, sha256: file.sha256 }]);
});

it('serves its metrics', async () => {
  const text = await (await fetch(program.metricsUrl ?? '')).text();
  expect(text).toMatch(/copilot_framework_calls_total\{status="200"\} [1-9]/);
  expect(text).toMatch(/copilot_framework_jobs 0/);
  expect(text).not.toContain(TOKEN);
});
