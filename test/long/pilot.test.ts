import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OUTPUTS, startTrial } from '../doubles/pilot/pilot-trial.ts';
import { removeDirectory } from '../doubles/temporary-directory.ts';
import { pilotFolder } from '../integration/pilot/pilot-folder.ts';
import { pilotInJail } from '../integration/pilot/pilot-in-jail.ts';

const RUNNER = new URL('../doubles/pilot/real-pilot.ts', import.meta.url).pathname;

let pilot: string;

beforeAll(async () => {
  pilot = await pilotFolder();
});
afterAll(() => removeDirectory(pilot));

describe('a pilot in a jail: unshare', () => pilotInJail('unshare'));

describe('a pilot whose payload fails', () => {
  it('is reported failed, with the log alone', async () => {
    const trial = await startTrial({ method: 'bubblewrap', pilot, jobPars: 'hello 65' });
    try {
      await trial.finish();
      const last = trial.updates.at(-1) ?? {};
      expect(last).toMatchObject({ state: 'failed', transExitCode: 65, pilotErrorCode: 1305 });
      expect(Object.keys(JSON.parse(String(last['xml'])) as object)).toEqual([OUTPUTS[1]]);
    } finally {
      await trial.close();
    }
  });
});

describe('npm run test:pilot', () => {
  const run = (directory: string) =>
    spawnSync(process.execPath, [RUNNER], {
      encoding: 'utf8',
      env: { ...process.env, PILOT_DIR: directory },
    });

  it('runs the pilot that it is given', () => {
    const { status, stdout, stderr } = run(pilot);
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('states: starting running finished');
    expect(stdout).toContain('the pilot finished its job');
  });

  it('ends with 2 where there is none', () => {
    const { status, stderr } = run(join(pilot, 'nothing'));
    expect(status).toBe(2);
    expect(stderr).toContain('No pilot was run');
  });
});
