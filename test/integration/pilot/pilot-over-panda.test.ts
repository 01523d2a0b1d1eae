import { chmod, copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NewJob } from '../../../adapters/jobs/job-adapter.ts';
import type { CallAdapter } from '../../../agent/pilot/pilot-host.ts';
import { toCoPilotError } from '../../../protocol/errors.ts';
import { OUTPUTS, startTrial } from '../../doubles/pilot/pilot-trial.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { AGENT, openWorld, stored, USAGE, type World } from '../panda/panda-world.ts';

const PILOT = new URL('../../doubles/pilot/pilot.py', import.meta.url).pathname;

let world: World;
let folder: string;
/** What went to the pilot's agent and came from it. */
let texts: string[];

beforeEach(async () => {
  texts = [];
  world = await openWorld({ options: { mode: 'pilot', pilot: ['run-pilot'] } });
  folder = await temporaryDirectory('pilot-folder');
  await chmod(folder, 0o755);
  await copyFile(PILOT, join(folder, 'pilot.py'));
});
afterEach(async () => {
  await world.close();
  await removeDirectory(folder);
});

/** As broker and link carry it: a refusal of the adapter's is an answer. What the adapter waits for is on a clock that is turned meanwhile. */
const callOf =
  ({ job, state = '' }: NewJob): CallAdapter =>
  async (method, body) => {
    try {
      const answer = await turning(
        world.adapter.call?.(job, 1, method, body, state) ?? Promise.reject(new Error('it takes no calls')),
      );
      const reply = JSON.parse(answer) as { readonly body: string };
      texts.push(body, answer, Buffer.from(reply.body, 'base64').toString());
      return { kind: 'answered', message: { body: answer } };
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      return { kind: 'refused', code, message };
    }
  };

/** Turns the clock until it is settled. */
async function turning<T>(asked: Promise<T>): Promise<T> {
  const turns = { left: 1_000 };
  const stop = (): void => void (turns.left = 0);
  asked.then(stop, stop);
  for (; turns.left > 0; turns.left--) await world.clock.run(10);
  return asked;
}

/** Runs the pilot of one job of the double's to its end; answers the job, and what storage has of its outputs. */
async function runPilot(jobPars: string, onJob: (id: number) => void = () => undefined) {
  const [output, log] = OUTPUTS;
  const [id = 0] = world.panda.submit({
    transformation: `${world.panda.url}/trf/user/hello.sh`,
    parameters: jobPars,
    outputs: [{ lfn: output }],
    log,
  });
  const job = await world.accepted();
  expect(job.description).toMatchObject({ command: 'run-pilot', pilot: { dialect: 'panda' } });
  expect(job.description.requirements).toContain('HasPilotMode');
  await world.adapter.started(job.job, 1, AGENT, job.state ?? '');
  onJob(id);
  const trial = await startTrial({ method: 'bubblewrap', pilot: folder, jobPars, call: callOf(job) });
  try {
    const { exit, said } = await trial.finish();
    const files: Record<string, string> = {};
    for (const name of OUTPUTS) {
      const content = await readFile(join(trial.work, name), 'latin1').catch(() => undefined);
      if (content !== undefined) files[name] = content;
    }
    return { id, job, exit, said, manifest: stored(files) };
  } finally {
    await trial.close();
  }
}

describe('a pilot in a jail, over the adapter, before PanDA', () => {
  it('runs the job of its lease, and PanDA is told what storage says of the outputs', async () => {
    const { id, job, exit, said, manifest } = await runPilot('hello');
    expect(exit, said).toMatchObject({ kind: 'exited', code: 0 });
    expect(manifest.map(({ name }) => name)).toEqual([...OUTPUTS]);
    expect(world.panda.job(id).state).toBe('running');
    expect(await world.adapter.finished(job.job, 1, manifest, USAGE, job.state ?? '')).toBe('ok');
    const report = JSON.parse(world.panda.job(id).report) as Record<string, Record<string, unknown>>;
    expect(Object.keys(report).toSorted()).toEqual([...OUTPUTS].toSorted());
    for (const { name, size, adler32 } of manifest) {
      expect(report[name]).toMatchObject({ fsize: size, adler32, endpoint: 'CP_DISK' });
      expect(report[name]).not.toHaveProperty('surl');
    }
    // The stand-in gives every file the log's; of others that is the adapter's to say.
    const [output, log] = OUTPUTS;
    expect(report[output]?.['guid']).not.toBe(report[log]?.['guid']);
    await world.clock.run(1_000);
    expect(world.panda.job(id).state).toBe('finished');
  });

  it('a payload that fails is failed in PanDA with the pilot’s own codes', async () => {
    const { id, job, manifest } = await runPilot('hello 65');
    expect(manifest.map(({ name }) => name)).toEqual([OUTPUTS[1]]);
    await world.adapter.finished(job.job, 1, manifest, USAGE, job.state ?? '');
    await world.clock.run(1_000);
    expect(world.panda.job(id)).toMatchObject({
      state: 'failed',
      fields: { pilot_error_code: 1305, trans_exit_code: 65 },
    });
  });

  it('a job that PanDA kills ends its pilot, which hears of it in the answer to its update', async () => {
    const { id, manifest } = await runPilot('hello', (job) => world.panda.table.kill(job));
    expect(manifest).toEqual([]);
    expect(world.panda.job(id).history).not.toContain('finished');
  });

  it('nothing that the pilot saw or said holds the adapter’s credential', async () => {
    const token = world.panda.token({ expiresInSeconds: 30 * 86_400 });
    world.setToken(token);
    const { said } = await runPilot('hello');
    expect(world.panda.heard.length).toBeGreaterThan(0);
    const [, , signature = ''] = token.split('.');
    for (const text of [said, ...texts]) expect(text).not.toContain(signature);
    expect(signature.length).toBeGreaterThan(40);
  });
});
