import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startFrameworkDouble, type FrameworkDouble } from '../../cli/framework-double.ts';
import type { StoredJob } from '../../broker/ledger/ledger.ts';
import { askBroker } from '../../cli/connection.ts';
import { proveFromLedger } from '../../cli/ledger-proof.ts';
import { RunningCommand } from '../doubles/co-pilot-command.ts';
import { eventually, eventuallyTrue } from '../doubles/eventually.ts';
import { freePort } from '../doubles/free-port.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { operatorOf } from '../e2e/operator.ts';

const JOBS = 12;
const WITHIN_MS = 240_000;

let base: string;
let double: FrameworkDouble | undefined;
let up: RunningCommand | undefined;
beforeEach(async () => {
  base = await temporaryDirectory('framework-backup');
});
afterEach(async () => {
  await up?.kill();
  await double?.stop();
  await removeDirectory(base);
});

async function start(directory: string): Promise<void> {
  up = new RunningCommand(['up', '--no-demo', '--agents', '2', '--data', directory]);
  await up.says('Still running', 90_000);
}

/** CRAB knows where states of a task are served, and hears of no other place. */
async function optionsOf(kind: string, { options }: FrameworkDouble): Promise<unknown> {
  return kind === 'crab' ? { ...(options as object), statusPort: await freePort() } : options;
}

/** A file rather than flags: a backup has to know which queues are the framework's. */
async function configure(
  directory: string,
  kind: string,
  { url, files, queue }: FrameworkDouble,
  options: unknown,
): Promise<void> {
  const entry = { kind, url, queues: { demo: queue }, ...files, options };
  const settings = {
    frameworks: { [kind]: entry },
    queues: { demo: { jobAdapter: kind } },
    bridge: { digests: ['adler32', 'md5'] },
  };
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'co-pilot.yaml'), JSON.stringify(settings), { mode: 0o600 });
}

function idsIn(ledger: string): readonly string[] {
  const database = new DatabaseSync(ledger, { readOnly: true });
  const rows = database.prepare('SELECT id FROM job').all();
  database.close();
  return rows.map(({ id }) => String(id));
}

it.each(['crab', 'panda', 'alien', 'http-queue'])(
  'an installation with %s is backed up while it runs, destroyed and put back: every job ends once, none is lost',
  async (kind) => {
    const directory = join(base, 'installation');
    const backup = join(base, 'copy');
    double = await startFrameworkDouble(kind, join(base, 'framework'));
    const framework = double;
    await configure(directory, kind, framework, await optionsOf(kind, framework));
    await start(directory);
    const submitted = await framework.submit(JOBS);
    const done = async (): Promise<number> =>
      (await framework.jobs()).filter(({ id, final }) => final && submitted.includes(id)).length;
    const operator = operatorOf(directory);
    await eventuallyTrue('some jobs to end', async () => (await done()) >= 3, WITHIN_MS);
    const made = await operator.ask('ledger', 'backup', backup);
    expect(made).toMatchObject({ code: 0 });
    expect(existsSync(join(backup, 'frameworks', kind, 'config.json'))).toBe(true);
    const before = await done();
    await eventually(
      'more to end',
      async () => ((await done()) > Math.min(before, JOBS - 1) ? true : undefined),
      WITHIN_MS,
    );
    await up?.kill();
    // States of CRAB's jobs are served by the adapter itself, which cancels none.
    const endedBefore = await done();
    await rm(directory, { recursive: true });

    expect(await operator.ask('ledger', 'restore', backup)).toMatchObject({ code: 0 });
    await start(directory);
    const ledger = join(directory, 'broker/ledger.sqlite');
    const ids = idsIn(join(backup, 'broker/ledger.sqlite'));
    expect(ids).toHaveLength(JOBS);
    const isOver = async (id: string): Promise<boolean> =>
      (await askBroker<StoredJob>(directory, 'GET', `/v1/jobs/${id}`)).job.told;
    // What ended in the lost time runs again here, and its framework knows the end that it heard first.
    for (const id of ids) await eventuallyTrue(`job ${id} to end here`, () => isOver(id), WITHIN_MS);
    await eventuallyTrue('all jobs to end', async () => (await done()) === JOBS, WITHIN_MS);
    expect(
      (await framework.jobs())
        .filter(({ ok }) => ok)
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(submitted.toSorted());
    up?.interrupt();
    await up?.endsWithin(60_000);
    expect(await operator.ask('ledger', 'check')).toMatchObject({ code: 0, answer: { faults: [] } });
    // A framework that says that it waits for a job no more has it cancelled here: it has its result from the lost time.
    const { faults } = proveFromLedger(ledger, ids);
    const cancelled = faults.filter((fault) => fault.endsWith('is cancelled with 0 committed attempts'));
    expect(faults.filter((fault) => !cancelled.includes(fault))).toEqual([]);
    expect(cancelled.length).toBeLessThanOrEqual(endedBefore);
  },
);
