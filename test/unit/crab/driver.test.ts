import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readTask } from '../../../adapters/jobs/crab/crab-task.ts';
import { newJobOf } from '../../../adapters/jobs/crab/job-description.ts';
import { readReport } from '../../../adapters/jobs/crab/job-report.ts';
import { makeArchive } from '../../doubles/crab/archive.ts';
import { createTaskTable } from '../../doubles/crab/task-table.ts';
import { makeWrapper } from '../../doubles/crab/wrapper.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const STORED = { size: 1, sha256: 'a'.repeat(64) };
const DRIVER = join(import.meta.dirname, '../../../adapters/jobs/crab/crab-job.sh');

describe('the driver that stands around the wrapper', () => {
  let folder: string;
  let place: string;
  let runs = 0;
  beforeAll(async () => {
    folder = await temporaryDirectory('crab-driver');
  });
  beforeEach(async () => {
    place = join(folder, String(++runs));
    await mkdir(place);
  });
  afterAll(async () => removeDirectory(folder));

  const job = newJobOf(
    {
      url: 'https://crab.example.org/crabserver/dev',
      site: 'home',
      cmsSite: 'T3_CH_Volunteer',
      driver: STORED,
      wrapper: STORED,
      requirements: '',
      diskMiB: 100,
      retries: 0,
    },
    {
      task: readTask(
        createTaskTable(createManualClock()).insert('260101_000000:alice_study', {
          tm_user_sandbox: 'x.tar.gz',
          tm_totalunits: 25,
          tm_save_logs: 'T',
          tm_outfiles: ['hist.txt'],
        }),
      ),
      number: 2,
      retry: 1,
      bounds: { wallSeconds: 60, memoryMiB: 64 },
      sandbox: STORED,
    },
  ).description;

  const run = async (
    environment: Readonly<Record<string, string>> = {},
    wrapper = makeWrapper(),
  ): Promise<number> => {
    await copyFile(DRIVER, join(place, 'crab-job.sh'));
    await writeFile(join(place, 'CMSRunAnalysis.tar.gz'), wrapper);
    await writeFile(join(place, 'sandbox.tar.gz'), makeArchive([{ name: 'PSet.py', content: 'x' }]));
    const env = { PATH: process.env['PATH'] ?? '', ...job.environment, ...environment };
    return promisify(execFile)('sh', ['./crab-job.sh', ...job.arguments], { cwd: place, env }).then(
      () => 0,
      (caught: unknown) => Number((caught as { readonly code: unknown }).code),
    );
  };
  const there = async (): Promise<readonly string[]> => {
    const names = new Set(await readdir(place));
    return job.outputs.map(({ name }) => name).filter((name) => names.has(name));
  };

  it('runs the wrapper with what it reads on the grid, and leaves every declared output', async () => {
    expect(await run()).toBe(0);
    expect(await there()).toEqual(job.outputs.map(({ name }) => name));
    expect(readReport(await readFile(join(place, 'jobReport.json')))).toMatchObject({
      exitCode: 0,
      events: 10,
      outputs: [{ name: 'out.root', kind: 'EDM', events: 10 }, { name: 'hist.txt' }],
    });
    const events = (await readFile(join(place, 'out_2.root'), 'utf8')).trim().split('\n');
    expect([events.length, events[0], events.at(-1)]).toEqual([10, 'event 11', 'event 20']);
  });

  it('leaves report and log alone where the wrapper fails, and ends well: the report says what became of it', async () => {
    expect(await run({ CRAB_DOUBLE_EXIT: '8001' })).toBe(0);
    expect(await there()).toEqual(['jobReport.json', 'wrapper-status.txt', 'cmsRun_2.log.tar.gz']);
    expect(readReport(await readFile(join(place, 'jobReport.json')))?.exitCode).toBe(8001);
    expect(await readFile(join(place, 'wrapper-status.txt'), 'utf8')).toBe(`${8001 & 255}\n`);
  });

  it.each([
    [
      'that ends with 137 and no report',
      makeArchive([{ name: 'CMSRunAnalysis.sh', content: 'exit 137\n' }]),
      137,
    ],
    ['that ends with 0 and no report', makeArchive([{ name: 'CMSRunAnalysis.sh', content: 'exit 0\n' }]), 1],
    ['that is no archive', Buffer.from('hello'), 1],
    ['without the script', makeArchive([{ name: 'README', content: 'x' }]), 1],
  ])('has the code of a wrapper %s', async (_, wrapper, code) => {
    expect(await run({}, wrapper)).toBe(code);
    expect(await there()).not.toContain('jobReport.json');
  });
});
