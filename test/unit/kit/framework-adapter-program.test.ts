import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AnswerAsk } from '../../../adapters/adapter-program.ts';
import type { FrameworkAdapter, FrameworkParts } from '../../../adapters/jobs/kit/framework-adapter.ts';
import { runFrameworkAdapter } from '../../../adapters/jobs/kit/framework-adapter-program.ts';
import type {
  FrameworkConfiguration,
  FrameworkProgram,
  FrameworkSettings,
} from '../../../adapters/jobs/kit/framework-kind.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { storeKey } from '../../../protocol/runtime/key-file.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

describe('the program around the adapter of a framework', () => {
  let directory: string;
  let program: FrameworkProgram | undefined;
  let given: FrameworkParts | undefined;
  let stopped: number;
  beforeEach(async () => {
    directory = await temporaryDirectory('framework-adapter');
    [program, given, stopped] = [undefined, undefined, 0];
  });
  afterEach(async () => {
    await program?.stop();
    await removeDirectory(directory);
  });

  const configuration = (change: Partial<FrameworkSettings> = {}): FrameworkConfiguration => {
    const crypto = createCrypto();
    return {
      ...{ installation: 'home', name: 'q', keyId: 3, brokers: [], busUrls: [], busSecret: 'none' },
      key: storeKey(crypto, crypto.generate('x25519')),
      metrics: { port: 0 },
      framework: {
        ...{ kind: 'http-queue', url: 'http://127.0.0.1:1', queues: { main: 'x' }, credential: {} },
        ...{ attempts: 1, options: {} },
        ...change,
      },
    };
  };
  const adapter: FrameworkAdapter = {
    fetch: async () => ({ jobs: [], more: false }),
    started: async () => undefined,
    renewed: async () => undefined,
    released: async () => undefined,
    finished: async () => 'ok',
    failed: async () => undefined,
    onWork: () => undefined,
    parts: async () => [],
    unfinished: () => 7,
    stop: async () => void stopped++,
  };
  const start = async (change: Partial<FrameworkSettings> = {}): Promise<AnswerAsk> => {
    let answer: AnswerAsk | undefined;
    program = await runFrameworkAdapter(
      {
        directory,
        configuration: configuration(change),
        log: silentLog,
        around: (own) => (answer = own),
      },
      async (parts) => {
        given = parts;
        return adapter;
      },
    );
    return answer!;
  };
  const metrics = async (): Promise<string> => (await fetch(program?.metricsUrl ?? '')).text();

  it('counts jobs that are with us, parts that were finished, and calls to the framework', async () => {
    const answer = await start();
    const named = { op: 'parts', job: 'a'.repeat(26), attempt: 1, state: '' } as const;
    await answer({ ...named, item: 1, verb: 'take', parts: [] });
    await answer({ ...named, item: 2, verb: 'finish', parts: ['1-10', '11-20'] });
    await given?.http.send({ method: 'GET', path: '/' }).catch(() => undefined);
    const text = await metrics();
    expect(text).toMatch(/^copilot_framework_jobs 7$/m);
    expect(text).toMatch(/^copilot_framework_parts_finished_total 2$/m);
    expect(text).toMatch(/^copilot_framework_calls_total\{status="0"\} 1$/m);
    expect(text).not.toMatch(/^copilot_framework_credential_seconds/m);
  });

  it('says how long the credential is good, and gives the adapter its ceiling', async () => {
    const tokenFile = join(directory, 'token');
    const claims = Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString('base64url');
    await writeFile(tokenFile, `eyJhbGciOiJub25lIn0.${claims}.x`, { mode: 0o600 });
    const ceilingFile = join(directory, 'ceiling.json');
    await writeFile(ceilingFile, '{"jobs": 5}', { mode: 0o600 });
    await start({ credential: { tokenFile }, ceilingFile });
    expect(await metrics()).toMatch(/^copilot_framework_credential_seconds\{kind="http-queue"\} [12]\d{9}/m);
    expect(given?.ceiling.current().jobs).toBe(5);
    await program?.stop();
    await program?.stop();
    expect(stopped).toBe(1);
  });

  it('does not start with a file or an option that it cannot use, and leaves nothing open', async () => {
    await expect(start({ credential: { tokenFile: join(directory, 'nowhere') } })).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
    });
    const refusing = runFrameworkAdapter(
      { directory, configuration: configuration(), log: silentLog },
      async () => {
        throw new CoPilotError('INVALID_CONFIGURATION', 'options.x is no such thing');
      },
    );
    await expect(refusing).rejects.toMatchObject({ message: 'options.x is no such thing' });
  });
});
