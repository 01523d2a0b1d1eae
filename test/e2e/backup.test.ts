import { existsSync } from 'node:fs';
import { appendFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backUp } from '../../cli/backup/backup.ts';
import { restore, type RestoreOptions, type RestoreResult } from '../../cli/backup/restore.ts';
import { connect } from '../../cli/connection.ts';
import { proveFromLedger } from '../../cli/ledger-proof.ts';
import { RunningCommand } from '../doubles/co-pilot-command.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { writeCampaign } from './campaigns.ts';
import { type Operator, operatorOf } from './operator.ts';

const JOBS = 14;
let base: string;
let first: string;
let second: string;
let backup: string;
let up: RunningCommand;
let jobs: readonly string[];
let campaign: string;

beforeAll(async () => {
  base = await temporaryDirectory('backup');
  first = join(base, 'first');
  second = join(base, 'second');
  backup = join(base, 'copy');
});

afterAll(async () => {
  await up.kill();
  await removeDirectory(base);
});

async function start(directory: string): Promise<Operator> {
  up = new RunningCommand(['up', '--no-demo', '--agents', '2', '--data', directory]);
  await up.says('Still running', 90_000);
  return operatorOf(directory);
}

/** Asked in this process: a command for each look would be most of the test. */
async function finished(directory: string): Promise<number> {
  const { queue } = await connect(directory);
  return (await queue.counts(campaign)).states.finished;
}

function putBack(options: Partial<RestoreOptions>): Promise<RestoreResult> {
  const defaults = { from: backup, directory: second, force: false, dryRun: false };
  return restore({ ...defaults, onProgress: () => undefined, ...options });
}

it('is made while jobs run, whole, and for its owner alone', async () => {
  const operator = await start(first);
  // Leases of ten seconds: what ran at the copied moment is held by agents that are gone.
  const script = 'sleep 0.3; echo ${n} > n.txt';
  const shell = { name: 'kept', script, jobs: JOBS, outputs: ['n.txt'], queue: 'demo' };
  ({ jobs, campaign } = await operator.submit(await writeCampaign(base, shell)));
  await eventuallyTrue('some jobs to end', async () => (await finished(first)) >= 4, 90_000);
  const made = await operator.ask('ledger', 'backup', backup);
  expect(made).toMatchObject({ code: 0, answer: { directory: backup, gone: 0 } });
  expect((await stat(backup)).mode & 0o777).toBe(0o700);
  expect((await stat(join(backup, 'broker/ledger.sqlite'))).mode & 0o777).toBe(0o600);
  expect((await readdir(base)).filter((name) => name.includes('.part'))).toEqual([]);
  expect(existsSync(join(first, 'broker/snapshot'))).toBe(false);
  const again = { directory: first, to: backup, withFiles: true, onProgress: () => undefined };
  await expect(backUp(again)).rejects.toMatchObject({ code: 'CONFLICT' });
});

it('is not put back over one that runs, nor over one that is there, nor where a byte of it changed', async () => {
  const running = operatorOf(first);
  const refused = await running.ask('ledger', 'restore', backup, '--force');
  expect(refused).toMatchObject({ code: 73, answer: { error: { code: 'CONFLICT' } } });
  expect(await running.ask('ledger', 'check')).toMatchObject({
    code: 0,
    answer: { faults: [], jobs: JOBS, wasRunning: true },
  });
  await eventuallyTrue('more to end', async () => (await finished(first)) >= 7, 90_000);
  up.interrupt();
  await up.endsWithin(60_000);
  await expect(putBack({ directory: first })).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('--force'),
  });
  expect(await putBack({ directory: first, force: true, dryRun: true })).toMatchObject({ reconciled: null });
  expect((await readdir(first)).filter((name) => name.includes('restore'))).toEqual([]);

  const settings = join(backup, 'local/queue.sqlite');
  const whole = await readFile(settings);
  await appendFile(settings, 'x');
  await expect(putBack({ directory: second })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  expect(existsSync(second)).toBe(false);
  await writeFile(settings, whole);
});

it('put back elsewhere goes on to the end of the campaign: every job once, every result with its files', async () => {
  const restored = operatorOf(second);
  expect(await restored.ask('ledger', 'restore', backup)).toMatchObject({
    code: 0,
    answer: { aside: null, withFiles: true },
  });
  await start(second);
  await eventuallyTrue('all to end', async () => (await finished(second)) === JOBS, 240_000);
  const to = join(base, 'fetched');
  const fetched = await restored.ask('job', 'fetch', '--campaign', campaign, '--to', to);
  expect(fetched).toMatchObject({ code: 0, answer: { files: { length: JOBS } } });
  const texts = await Promise.all(jobs.map((job) => readFile(join(to, job, 'n.txt'), 'utf8')));
  expect(texts.map(Number)).toEqual(jobs.map((_, index) => index + 1));
  up.interrupt();
  await up.endsWithin(60_000);
  expect(await restored.ask('ledger', 'check')).toMatchObject({ code: 0, answer: { faults: [] } });
  expect(proveFromLedger(join(second, 'broker/ledger.sqlite'), jobs)).toMatchObject({
    committedOnce: JOBS,
    faults: [],
  });
});
