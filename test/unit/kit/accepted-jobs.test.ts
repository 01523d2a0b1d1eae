import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAcceptedJobs } from '../../../adapters/jobs/kit/accepted-jobs.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const id = (at: number): string => `job${String(at).padStart(23, 'a')}`;

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await temporaryDirectory('accepted-jobs');
  path = join(folder, 'accepted-jobs.txt');
});
afterEach(() => removeDirectory(folder));

describe('the file of jobs that a broker has', () => {
  it('says to the next process what this one knew, and is its owner’s alone', async () => {
    const jobs = await openAcceptedJobs(path, silentLog);
    expect(jobs.ids()).toEqual([]);
    for (const [at, isAccepted] of [
      [1, true],
      [2, true],
      [1, true],
      [1, false],
      [3, false],
    ] as const)
      jobs.note(id(at), isAccepted);
    expect(jobs.ids()).toEqual([id(2)]);
    await jobs.settled();
    expect((await openAcceptedJobs(path, silentLog)).ids()).toEqual([id(2)]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('grows with the jobs that are there, not with those that were', async () => {
    const jobs = await openAcceptedJobs(path, silentLog);
    for (let at = 0; at < 5_000; at++) {
      jobs.note(id(at), true);
      if (at >= 10) jobs.note(id(at - 10), false);
      if (at % 100 === 0) await jobs.settled();
    }
    await jobs.settled();
    expect((await readFile(path, 'latin1')).split('\n').length).toBeLessThan(1_200);
    expect((await openAcceptedJobs(path, silentLog)).ids()).toEqual(jobs.ids());
  });

  it('is read for what it can be read for: lines that a crash tore, or that are none of ours', async () => {
    await writeFile(path, `+${id(1)}\n+${id(2)}\n../../etc\n+\n-${id(1)}\n+jo`);
    const jobs = await openAcceptedJobs(path, silentLog);
    expect(jobs.ids()).toEqual([id(2)]);
    jobs.note(id(3), true);
    await jobs.settled();
    expect((await openAcceptedJobs(path, silentLog)).ids()).toEqual([id(2), id(3)]);
  });

  it('that cannot be written stops nothing', async () => {
    const warned: string[] = [];
    const log = { ...silentLog, warn: (_fields: object, text: string) => void warned.push(text) };
    const jobs = await openAcceptedJobs(join(folder, 'no such folder', 'file'), log);
    jobs.note(id(1), true);
    await jobs.settled();
    expect([jobs.ids(), warned]).toEqual([[id(1)], ['the jobs that are with us could not be noted']]);
  });
});
