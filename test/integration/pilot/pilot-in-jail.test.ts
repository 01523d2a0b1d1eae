import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { detectIsolation } from '../../../agent/executors/detect-isolation.ts';
import { removeJobDirectory } from '../../../agent/executors/job-directory.ts';
import type { Running } from '../../../agent/executors/launcher.ts';
import { createProcessLauncher } from '../../../agent/executors/process-launcher.ts';
import { createPilotHost } from '../../../agent/pilot/pilot-desk.ts';
import type { AskAdapter, PilotDesk } from '../../../agent/pilot/pilot-host.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { eventually } from '../../doubles/eventually.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { temporaryDirectory } from '../../doubles/temporary-directory.ts';

const PILOT = new URL('../../doubles/pilot/pilot.py', import.meta.url).pathname;
const PAYLOAD = '#!/bin/sh\nprintf "$1\\n" > user.cp.0001.out.txt\nexit ${2:-0}\n';
const JOB = {
  StatusCode: '0',
  PandaID: '4001',
  transformation: 'http://127.0.0.1:28085/trf/user/hello.sh',
  outFiles: 'user.cp.0001.out.txt,user.cp.0001.log.tgz',
  logFile: 'user.cp.0001.log.tgz',
  logGUID: '6cd7f2a0-0f7e-4a39-bb0b-1a3c9a7b0001',
  scopeOut: 'user.cp',
  scopeLog: 'user.cp',
  attemptNr: '1',
};
const LIMITS = { wallSeconds: 60, memoryMiB: 512, diskMiB: 64, files: 1_000, processes: 64 };
const METHODS = ['bubblewrap', 'unshare'] as const;

let base: string;
let work: string;
let desk: PilotDesk;
let updates: Record<string, unknown>[];
let onUpdate: () => Promise<void>;

beforeEach(async () => {
  base = await temporaryDirectory('pilot-jail');
  await chmod(base, 0o711);
  work = join(base, 'work');
  await mkdir(work, { mode: 0o700 });
  await writeFile(join(work, 'hello.sh'), PAYLOAD, { mode: 0o755 });
  await copyFile(PILOT, join(work, 'pilot.py'));
  updates = [];
  onUpdate = () => Promise.resolve();
});
afterEach(async () => {
  await desk.close();
  await removeJobDirectory(base);
});

const adapter =
  (jobPars: string): AskAdapter =>
  async (method, text) => {
    const { body } = JSON.parse(text) as { body: string };
    if (method === 'updateJob') {
      updates.push(JSON.parse(gunzipSync(Buffer.from(body, 'base64')).toString()) as never);
      await onUpdate();
    }
    const reply =
      method === 'getJob'
        ? new URLSearchParams({ ...JOB, jobPars }).toString()
        : 'StatusCode=0&command=NULL';
    const answer = { status: 200, contentType: 'text/plain', body: Buffer.from(reply).toString('base64') };
    return { kind: 'answered', message: { body: JSON.stringify(answer) } };
  };

async function start(method: (typeof METHODS)[number], jobPars: string): Promise<Running> {
  const found = await detectIsolation(method, { clock: nodeClock });
  if (found.kind !== 'found') throw new Error(`${method}: ${found.attempts.map(({ reason }) => reason).join()}`);
  desk = await createPilotHost({ clock: nodeClock, log: silentLog }).open({
    directory: work,
    ask: adapter(jobPars),
  });
  const running = createProcessLauncher(method, { clock: nodeClock }).launch({
    command: 'sh',
    arguments: [
      '-c',
      'exec python3 pilot.py --url "${COPILOT_PILOT_URL%:*}" -p "$COPILOT_PILOT_PORT" -q CP_TEST',
    ],
    environment: { PATH: '/usr/bin:/bin', ...desk.environment },
    workDirectory: work,
    readOnly: [],
    stdoutFile: join(base, 'stdout'),
    stderrFile: join(base, 'stderr'),
    limits: LIMITS,
    network: 'host',
  });
  desk.admit(running);
  return running;
}

/** What somebody else on the machine hears from the end point. */
function knock(): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect(Number(desk.environment['COPILOT_PILOT_PORT']), '127.0.0.1');
    socket.on('data', (chunk) => (heard += chunk.toString()));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(heard));
    socket.write('POST /server/panda/getJob HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
  });
}

describe.each(METHODS)('a pilot in a jail: %s', (method) => {
  it('gets its job, runs it, stages out by mv and reports, over the end point that only it reaches', async () => {
    let release: () => void = () => undefined;
    onUpdate = () => (updates.length === 1 ? new Promise((resolve) => (release = resolve)) : Promise.resolve());
    const running = await start(method, 'hello');
    await eventually('the first update', () => updates[0], 20_000);
    expect(await knock()).toBe('');
    release();
    const exit = await running.exited;
    expect(exit, await readFile(join(base, 'stderr'), 'utf8')).toMatchObject({ kind: 'exited', code: 0 });
    expect(updates.map(({ state }) => state)).toEqual(['starting', 'running', 'finished']);
    await desk.close();
    const outputs = JOB.outFiles.split(',').map((name) => ({ name }));
    expect(await desk.gather(outputs)).toBeUndefined();
    expect(await readFile(join(work, 'user.cp.0001.out.txt'), 'utf8')).toBe('hello\n');
    expect((await readFile(join(work, 'user.cp.0001.log.tgz'))).length).toBeGreaterThan(0);
    expect(running.holdsSocket(1)).toBe(false);
  });

  it('a payload that fails is reported failed, with the log alone', async () => {
    const running = await start(method, 'hello 65');
    await running.exited;
    expect(updates.at(-1)).toMatchObject({ state: 'failed', transExitCode: 65, pilotErrorCode: 1305 });
    expect(Object.keys(JSON.parse(updates.at(-1)!.xml as string) as object)).toEqual([JOB.logFile]);
  });
});
