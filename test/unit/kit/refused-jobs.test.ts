import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openRefusedJobs, readRefusedJobs } from '../../../adapters/jobs/kit/refused-jobs.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const clock = createManualClock();
let directory: string;
let path: string;

beforeEach(async () => {
  directory = await temporaryDirectory('refused');
  path = join(directory, 'refused.jsonl');
});
afterEach(() => removeDirectory(directory));

const open = () => openRefusedJobs(path, { clock, log: silentLog });

it('keeps each refusal once, over restarts, bounded and on one line whatever is in it', async () => {
  const first = await open();
  first.note({ job: 'a', ref: '4001', reason: 'a path\nin an output name' });
  first.note({ job: 'a', ref: '4001', reason: 'the same again' });
  first.note({ job: '', ref: 'x'.repeat(300), reason: 'y'.repeat(600) });
  await first.settled();
  const second = await open();
  second.note({ job: 'a', ref: '4001', reason: 'the same after a restart' });
  second.note({ job: 'b', ref: '4002', reason: 'no executable' });
  await second.settled();
  expect(await readRefusedJobs(path)).toMatchObject([
    { job: 'a', ref: '4001', reason: 'a path\nin an output name' },
    { job: '', ref: 'x'.repeat(256), reason: 'y'.repeat(500) },
    { job: 'b', ref: '4002', reason: 'no executable' },
  ]);
  expect((await readFile(path, 'utf8')).trimEnd().split('\n')).toHaveLength(3);
});

it('keeps the newest thousand, and its file does not grow', async () => {
  const refused = await open();
  for (let at = 0; at < 2_500; at += 1) refused.note({ job: `job-${at}`, ref: String(at), reason: 'no' });
  await refused.settled();
  const kept = await readRefusedJobs(path);
  expect([kept.length, kept[0]?.ref, kept.at(-1)?.ref]).toEqual([1_000, '1500', '2499']);
  expect((await readFile(path, 'utf8')).split('\n').length).toBeLessThanOrEqual(2_001);
});

it('passes over what a crash or a stranger left in the file', async () => {
  const refused = await open();
  refused.note({ job: 'a', ref: '1', reason: 'no' });
  await refused.settled();
  await appendFile(path, '{"job":"b","ref":"2"}\nnull\n[1]\n{"job":"c","re');
  expect((await readRefusedJobs(path)).map(({ ref }) => ref)).toEqual(['1']);
});
