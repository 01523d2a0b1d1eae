import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PAYLOAD_WRAPPER, WRAPPER_NAME } from '../../../adapters/jobs/panda/payload-wrapper.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory('panda-wrapper');
});
afterEach(async () => removeDirectory(directory));

describe('the wrapper that makes the log of a payload', () => {
  async function run(script: string, ...words: readonly string[]) {
    for (const [name, text] of [
      [WRAPPER_NAME, PAYLOAD_WRAPPER],
      ['payload.sh', `#!/bin/sh\n${script}\n`],
    ] as const) {
      await writeFile(join(directory, name), text);
      await chmod(join(directory, name), 0o755);
    }
    const wrapper = join(directory, WRAPPER_NAME);
    return spawnSync(wrapper, ['my.log.tgz', './payload.sh', ...words], { cwd: directory, encoding: 'utf8' });
  }
  const inLog = (name: string): string =>
    execFileSync('tar', ['-xzOf', join(directory, 'my.log.tgz'), `tarball_PandaJob/${name}`], {
      encoding: 'utf8',
    });

  it('keeps all that it says, ends as it does, and shows its end', async () => {
    const { status, stdout, stderr } = await run(
      'echo out; echo err >&2; echo "{}" >jobReport.json; exit 65',
    );
    expect([status, stdout, stderr]).toEqual([65, 'out\n', 'err\n']);
    expect([inLog('payload.stdout'), inLog('payload.stderr'), inLog('jobReport.json')]).toEqual([
      'out\n',
      'err\n',
      '{}\n',
    ]);
    expect((await readdir(directory)).toSorted()).toEqual([
      WRAPPER_NAME,
      'jobReport.json',
      'my.log.tgz',
      'payload.sh',
    ]);
  });

  it('gives words on as they are: no shell looks into them', async () => {
    const words = ['; touch stolen', '$(touch stolen)', '`touch stolen`', 'a b', '', '*', '"', '-rf'];
    const { status } = await run(`for word; do printf '%s\\n' "$word"; done`, ...words);
    expect(status).toBe(0);
    expect(inLog('payload.stdout')).toBe(words.map((word) => `${word}\n`).join(''));
    expect(await readdir(directory)).not.toContain('stolen');
  });

  it('shows no more than the end of what is long', async () => {
    const { stdout } = await run('i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i + 1)); done');
    expect(stdout.length).toBe(1024);
    expect(stdout).toMatch(/line 1999\n$/u);
    expect(inLog('payload.stdout')).toMatch(/^line 0\n/u);
  });
});
