import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AlienJob, Central } from '../../adapters/jobs/alien/central.ts';
import { hostAd } from '../../adapters/jobs/alien/host-ad.ts';
import { createSideCentral } from '../../adapters/jobs/alien/side-central.ts';
import { openCredentialFiles } from '../../adapters/jobs/kit/credential-files.ts';
import { createFrameworkHttp, type FrameworkHttp } from '../../adapters/jobs/kit/framework-http.ts';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { eventually } from '../doubles/eventually.ts';
import { silentLog } from '../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { needProgram } from '../servers/server-process.ts';

const STUB = join(import.meta.dirname, '../../adapters/jobs/alien/side/SideStub.java');
const AD = hostAd({
  host: 'copilot.example.org',
  ce: 'ALICE::VOLUNTEER::COPILOT',
  closeSe: [],
  partitions: ['volunteer'],
  packages: [],
  installed: [],
  ttlSeconds: 43_200,
  price: 1,
  disk: 20_000,
  memory: 2048,
  cores: 1,
  platform: 'Linux-x86_64',
});

describe('the reference stub of the side process, in Java', () => {
  let folder: string;
  let stub: ChildProcess;
  let url: string;
  let http: FrameworkHttp;
  let central: Central;
  const marker = 'Co-Pilot job a attempt 1';

  beforeAll(async () => {
    folder = await temporaryDirectory('side-stub');
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'secret-of-the-test', { mode: 0o600 });
    const java = needProgram('java', 'default-jdk-headless');
    stub = spawn(java, [STUB, '0', tokenFile, 'Executable = \\"a.sh\\";', '2'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    stub.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const port = await eventually('the stub', () => /"port":([0-9]+)/.exec(said)?.[1], 60_000);
    const credential = await openCredentialFiles({ tokenFile }, { clock: nodeClock, log: silentLog });
    credential.stop();
    url = `http://127.0.0.1:${port}`;
    http = await createFrameworkHttp({ url, credential, timeoutMs: 10_000, maxAnswerBytes: 1024 * 1024 });
    central = createSideCentral(http, 'copilot.example.org');
  }, 90_000);
  afterAll(async () => {
    http.stop();
    stub.kill('SIGKILL');
    await removeDirectory(folder);
  });

  it('hands out a job, follows it to DONE by the same rules as JAliEn, and knows whose word was the last', async () => {
    const matched = await central.match(AD, 'ALICE::VOLUNTEER::COPILOT');
    if (matched.kind !== 'job') throw new Error(`no job: ${matched.kind}`);
    const job: AlienJob = matched.job;
    expect(matched.jdl).toBe('Executable = "a.sh";');
    for (const to of ['STARTED', 'RUNNING', 'SAVING'])
      expect(await central.setStatus(job, { to })).toBe('ok');
    expect(await central.setStatus(job, { from: 'ZOMBIE', to: 'RUNNING' })).toBe('refused');
    await central.write([{ job, tag: 'trace', text: 'a line' }]);
    expect(await central.census([job])).toEqual(new Map([['SAVING', 1]]));
    expect(await central.setStatus(job, { to: 'DONE', by: marker, detail: '[\n A = 1;\n]' })).toBe('ok');
    expect(await central.setStatus(job, { to: 'ERROR_E' })).toBe('over');
    expect(await central.isSaved(job, marker)).toBe(true);
    expect(await central.isSaved(job, 'another')).toBe(false);
    expect(await central.setStatus({ ...job, token: 'x'.repeat(32) }, { to: 'RUNNING' })).toBe('over');
    expect((await central.match(AD, 'A::B::C')).kind).toBe('job');
    expect(await central.match(AD, 'A::B::C')).toEqual({ kind: 'none', why: 'Nothing to run :-(' });
  });

  it('lets nobody in without the token', async () => {
    const answer = await fetch(`${url}/v1/match`, { method: 'POST', body: '{}' });
    expect(answer.status).toBe(401);
  });
});
