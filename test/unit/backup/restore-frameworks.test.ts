import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { holdFolder, LOCK_FILE } from '../../../adapters/jobs/kit/held-folder.ts';
import { restore, type RestoreResult } from '../../../cli/backup/restore.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let directory: string;
let installation: string;
let backup: string;
beforeEach(async () => {
  directory = await temporaryDirectory('restore-frameworks');
  [installation, backup] = [join(directory, 'installation'), join(directory, 'backup')];
  await mkdir(join(installation, 'frameworks/crab'), { recursive: true, mode: 0o700 });
  await mkdir(backup);
});
afterEach(() => removeDirectory(directory));

const manifest = (change: object = {}): Promise<void> =>
  writeFile(
    join(backup, 'manifest.json'),
    JSON.stringify({
      ...{ kind: 'co-pilot-backup', version: 1, createdAt: '2031-01-01T00:00:00.000Z', withFiles: true },
      files: [],
      ...change,
    }),
  );
const putBack = (): Promise<RestoreResult> =>
  restore({ from: backup, directory: installation, force: true, dryRun: true, onProgress: () => undefined });

it('nothing is put back under the hands of an adapter that runs', async () => {
  await manifest();
  const release = holdFolder(join(installation, 'frameworks/crab', LOCK_FILE));
  await expect(putBack()).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('frameworks/crab'),
  });
  release();
  // The next thing that is looked at is the ledger, and there is none in this backup.
  await expect(putBack()).rejects.not.toMatchObject({ code: 'CONFLICT' });
  expect(existsSync(join(installation, 'frameworks/crab'))).toBe(true);
});

it.each([
  ['no object', 7],
  ['no list of queues', { queues: 'crab', beforeLedgerMs: 1 }],
  ['queues that are no names', { queues: [{}], beforeLedgerMs: 1 }],
  ['no time', { queues: ['crab'] }],
])('a manifest whose frameworks are %s is none', async (_what, frameworks) => {
  await manifest({ frameworks });
  await expect(putBack()).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
});
