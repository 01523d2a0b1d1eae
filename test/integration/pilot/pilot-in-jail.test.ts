import { spawnSync } from 'node:child_process';
import { cp, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../doubles/eventually.ts';
import { OUTPUTS, startTrial, type PilotTrial, type TrialOptions } from '../../doubles/pilot/pilot-trial.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { chmod } from 'node:fs/promises';

const DOUBLES = new URL('../../doubles/pilot/', import.meta.url).pathname;
const METHODS = ['bubblewrap', 'unshare'] as const;

let pilot: string;
let trial: PilotTrial | undefined;

beforeAll(async () => {
  // The checkout may lie where only its owner may look.
  pilot = await temporaryDirectory('pilot');
  await chmod(pilot, 0o755);
  await cp(join(DOUBLES, 'pilot.py'), join(pilot, 'pilot.py'));
});
afterEach(async () => {
  await trial?.close();
  trial = undefined;
});
afterAll(() => removeDirectory(pilot));

async function start(options: Omit<TrialOptions, 'pilot'>): Promise<PilotTrial> {
  trial = await startTrial({ pilot, ...options });
  return trial;
}

/** What somebody else on the machine hears from the end point. */
function knock(port: number): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk) => (heard += chunk.toString()));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(heard));
    socket.write('POST /server/panda/getJob HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
  });
}

describe.each(METHODS)('a pilot in a jail: %s', (method) => {
  it('gets its job, runs it, stages out by mv and reports, over the end point that only it reaches', async () => {
    let release: () => void = () => undefined;
    const started = await start({
      method,
      jobPars: 'hello',
      onUpdate: ({ length }) =>
        length === 1 ? new Promise((resolve) => (release = resolve)) : Promise.resolve(),
    });
    const { desk, running, updates, asked, work } = started;
    await eventually('the first update', () => updates[0], 20_000);
    expect(await knock(Number(desk.environment['COPILOT_PILOT_PORT']))).toBe('');
    release();
    const { exit, said } = await started.finish();
    expect(exit, said).toMatchObject({ kind: 'exited', code: 0 });
    expect(updates.map(({ state }) => state)).toEqual(['starting', 'running', 'finished']);
    expect(asked).toEqual([
      'updateWorkerPilotStatus',
      'getJob',
      'updateJob',
      'updateJob',
      'updateJob',
      'updateWorkerPilotStatus',
    ]);
    const [output, log] = OUTPUTS;
    expect(await readFile(join(work, output), 'utf8')).toBe('hello\n');
    expect((await readFile(join(work, log))).length).toBeGreaterThan(0);
    expect(JSON.parse(await readFile(join(work, 'queuedata.json'), 'utf8'))).toMatchObject({
      acopytools: { pw: ['mv'] },
    });
    expect(running.holdsSocket(1)).toBe(false);
  });
});

describe('a pilot whose payload fails', () => {
  it('is reported failed, with the log alone', async () => {
    const started = await start({ method: 'bubblewrap', jobPars: 'hello 65' });
    await started.finish();
    const { updates } = started;
    expect(updates.at(-1)).toMatchObject({ state: 'failed', transExitCode: 65, pilotErrorCode: 1305 });
    expect(Object.keys(JSON.parse(updates.at(-1)!['xml'] as string) as object)).toEqual([OUTPUTS[1]]);
  });
});

describe('npm run test:pilot', () => {
  const run = (directory: string) =>
    spawnSync(process.execPath, [join(DOUBLES, 'real-pilot.ts')], {
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
