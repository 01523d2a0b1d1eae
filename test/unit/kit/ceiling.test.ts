import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NewJob } from '../../../adapters/jobs/job-adapter.ts';
import { type CeilingFile, DEFAULT_CEILING, openCeiling } from '../../../adapters/jobs/kit/ceiling.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { jobOf } from './job-of.ts';

describe('the ceiling of an adapter', () => {
  let folder: string;
  let path: string;
  let open: CeilingFile | undefined;
  const openAt = async (file: string | undefined): Promise<CeilingFile> =>
    (open = await openCeiling(file, { clock: nodeClock, log: silentLog }));
  const put = (value: unknown): Promise<void> => writeFile(path, JSON.stringify(value), { mode: 0o644 });
  const wanting = (limits: Partial<NewJob['description']['limits']>, outputs = 1): NewJob => {
    const job = jobOf('one');
    const { description } = job;
    const names = Array.from({ length: outputs }, (_, at) => ({ name: `out-${at}` }));
    return {
      ...job,
      description: { ...description, limits: { ...description.limits, ...limits }, outputs: names },
    };
  };
  beforeAll(async () => {
    folder = await temporaryDirectory('ceiling');
    path = join(folder, 'ceiling.json');
  });
  afterEach(() => open?.stop());
  afterAll(() => removeDirectory(folder));

  it('is a default where no file is named, and for what a file leaves out', async () => {
    expect((await openAt(undefined)).current()).toEqual(DEFAULT_CEILING);
    await put({ jobs: 5 });
    expect((await openAt(path)).current()).toEqual({ ...DEFAULT_CEILING, jobs: 5 });
  });

  it('refuses a job above it, with what it wants and what there is', async () => {
    await put({ wallSeconds: 100, memoryMiB: 200, diskMiB: 300, outputs: 2 });
    const ceiling = await openAt(path);
    const fits = wanting({ wallSeconds: 100, memoryMiB: 200, diskMiB: 300 }, 2);
    expect(ceiling.fault(fits)).toBeUndefined();
    expect(ceiling.fault(wanting({ wallSeconds: 101 }))).toBe(
      'it wants wallSeconds of 101, and this adapter hands over at most 100',
    );
    expect(ceiling.fault(wanting({ memoryMiB: 201 }))).toContain('memoryMiB of 201');
    expect(ceiling.fault(wanting({ diskMiB: 301 }))).toContain('diskMiB of 301');
    expect(ceiling.fault(wanting({}, 3))).toContain('outputs of 3');
  });

  it('refuses what the contract does not take, below it or not', async () => {
    const job = jobOf('one');
    const hostile = { ...job, description: { ...job.description, outputs: [{ name: '../../etc/passwd' }] } };
    expect((await openAt(undefined)).fault(hostile)).toContain('outputs');
  });

  it('counts as it stands when its file changes, and as before when that is wrong or gone', async () => {
    await put({ jobs: 5 });
    const ceiling = await openAt(path);
    await put({ jobs: 66 });
    await eventuallyTrue('the new ceiling', () => ceiling.current().jobs === 66, 5_000);
    await put({ jobs: 'many' });
    await rm(path);
    expect(ceiling.current().jobs).toBe(66);
  });

  it.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['an unknown key', '{"job": 5}'],
    ['no whole number', '{"jobs": 1.5}'],
    ['a negative number', '{"jobs": -1}'],
  ])('is refused where it is %s', async (_what, text) => {
    await writeFile(path, text, { mode: 0o644 });
    await expect(openAt(path)).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
  });

  it('is refused where others could raise it, or where it is not there', async () => {
    await put({ jobs: 5 });
    await chmod(path, 0o666);
    await expect(openAt(path)).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    await rm(path);
    await expect(openAt(path)).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
  });
});
