import { execFile } from 'node:child_process';
import { copyFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const run = promisify(execFile);

it('a job of CMS@home that fails ends well, with its code and all that it said in one archive', async () => {
  const cwd = await temporaryDirectory('volunteer-job');
  try {
    const driver = join(import.meta.dirname, '../../../adapters/jobs/cms-at-home/volunteer-job.sh');
    await copyFile(driver, join(cwd, 'volunteer-job.sh'));
    await writeFile(join(cwd, 'job.sh'), '#!/bin/sh\npwd > here\necho out\necho err >&2\nexit 7\n');
    await run('sh', ['./volunteer-job.sh'], { cwd });
    expect(await readdir(cwd)).toContain('output.tgz');
    const list = await run('tar', ['tzf', 'output.tgz'], { cwd });
    expect(
      list.stdout
        .split('\n')
        .filter((name) => /\w/.test(name))
        .toSorted(),
    ).toEqual(['./here', './job.sh', './job.stderr', './job.stdout', './jobdata']);
    const said = await run('tar', ['xzOf', 'output.tgz', './job.stdout', './jobdata'], { cwd });
    expect(said.stdout).toBe('out\nexitcode=7\n');
  } finally {
    await removeDirectory(cwd);
  }
});
