import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Connection } from '../../../cli/connection.ts';
import type { Input } from '../../../protocol/generated/types.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';
import { needsPython, PythonAgent } from '../../doubles/python-agent.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let base: string;
let broker: LiveBroker;
let store: Connection['results'];
const running: PythonAgent[] = [];

beforeAll(async () => {
  base = await temporaryDirectory('python-agent');
  // Long enough for a busy machine to start the agent again within; a notice makes a cancelled job quick all the same.
  broker = await openLiveBroker({
    queue: { leaseMs: 15_000, firstRenewMs: 15_000 },
    limits: { quickFailuresAllowed: 100 },
  });
  store = (await connect(broker.directory)).results;
});

afterAll(async () => {
  await broker.close();
  await removeDirectory(base);
});

beforeEach(needsPython);

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(running.map(({ output }) => output).join('\n'));
  for (const agent of running.splice(0)) await agent.kill();
  await broker.clear();
});

const directoryOf = (name: string): string => join(base, name);

/** Starts an agent; the first time by a code of its own, afterwards by what it has. */
async function start(name: string, ...args: readonly string[]): Promise<PythonAgent> {
  const file = `${directoryOf(name)}.code`;
  if (!existsSync(file)) await writeFile(file, await broker.newCode(), { mode: 0o600 });
  return startWith('--directory', directoryOf(name), '--code-file', file, ...args);
}

function startWith(...args: readonly string[]): PythonAgent {
  const agent = new PythonAgent(args);
  running.push(agent);
  return agent;
}

function submit(script: string, change: Parameters<LiveBroker['submit']>[0] = {}): string {
  const description = { command: 'sh', arguments: ['-c', script], outputs: [], ...change };
  return broker.submit(description, { retries: 0 });
}

async function input(name: string, content: string): Promise<Input> {
  const sha256 = createHash('sha256').update(content).digest('hex');
  const size = Buffer.byteLength(content);
  await store.put({ kind: 'content', content, sha256, size });
  return { name, size, sha256 };
}

async function resultOf(job: string, name: string): Promise<string> {
  const { manifest, progress } = await broker.end(job);
  expect(progress.state).toBe('finished');
  const file = manifest.find((one) => one.name === name);
  if (file === undefined) throw new Error(`there is no ${name}`);
  const path = await store.fetch({ job, attempt: progress.attempt }, file, await temporaryFolder());
  return readFileSync(path, 'utf8');
}

let folders = 0;
async function temporaryFolder(): Promise<string> {
  folders += 1;
  return directoryOf(`result-${folders}`);
}

describe('the agent in Python', () => {
  it('runs jobs with inputs, one after the other, and each commits once', async () => {
    const inputs = [
      await input('data/greeting.txt', 'hello'),
      await input('run', '#!/bin/sh\ncat data/*; echo " $1 $COPILOT_SLOT"\n'),
    ];
    const script = './run "$N" > out.txt; mkdir deep; env > deep/env.txt; echo 0.5 > "$COPILOT_PROGRESS"';
    const jobs = ['one', 'two', 'three'].map((N) =>
      submit(script, {
        inputs: inputs.map((one) => ({ ...one, executable: one.name === 'run' })),
        environment: { N },
        outputs: [{ name: 'out.txt' }, { name: 'deep/env.txt' }, { name: 'none.txt', optional: true }],
      }),
    );
    await start('plain');
    const texts = [];
    for (const job of jobs) texts.push(await resultOf(job, 'out.txt'));
    expect(texts).toEqual(['hello one 1\n', 'hello two 1\n', 'hello three 1\n']);
    expect(jobs.map((job) => broker.framework.record(job)?.told)).toEqual([1, 1, 1]);
    const names = (await resultOf(jobs[0] ?? '', 'deep/env.txt'))
      .split('\n')
      .map((line) => line.split('=')[0]);
    const told = ['COPILOT_ATTEMPT', 'COPILOT_JOB', 'COPILOT_PROGRESS', 'COPILOT_SLOT'];
    expect(names.filter((name) => name !== '').toSorted()).toEqual([
      ...told,
      'HOME',
      'LANG',
      'N',
      'PATH',
      'PWD',
    ]);
  });

  it('runs a program that is an input, and refuses any other path (L-16)', async () => {
    const program = await input('tool', '#!/bin/sh\necho done > out.txt\n');
    await start('program');
    const job = submit('', {
      command: './tool',
      arguments: [],
      inputs: [program],
      outputs: [{ name: 'out.txt' }],
    });
    expect(await resultOf(job, 'out.txt')).toBe('done\n');
    const path = submit('true', { command: '/bin/sh' });
    expect((await broker.end(path)).failures).toMatchObject([
      { reason: expect.stringContaining('the command is a path') },
    ]);
  });

  it('says why a job failed: code, signal, limit, output (L-17)', async () => {
    await start('failing', '--slots', '3');
    const limits = { wallSeconds: 60, memoryMiB: 64, diskMiB: 1 };
    const ends: readonly (readonly [string, string])[] = [
      [submit('echo out of luck >&2; exit 3'), 'code 3'],
      [submit('kill -TERM $$'), 'SIGTERM'],
      [submit('sleep 30', { limits: { ...limits, wallSeconds: 1 } }), 'wall'],
      [submit('head -c 2000000 /dev/zero > big; sleep 30'), 'disk'],
      [submit('head -c 200000000 /dev/zero | tail'), 'memory'],
      [submit('ln -s /etc/passwd out', { outputs: [{ name: 'out' }] }), 'no plain file'],
      [submit('mkfifo out', { outputs: [{ name: 'out' }] }), 'no plain file'],
      [submit('true', { outputs: [{ name: 'out' }] }), 'left no out'],
    ];
    for (const [job, reason] of ends) {
      const { failures, progress } = await broker.end(job);
      expect({ state: progress.state, reason: failures.at(-1)?.reason }).toEqual({
        state: 'failed',
        reason: expect.stringContaining(reason),
      });
    }
  });

  it('stops a job that is cancelled while it runs, removes its files, and takes the next', async () => {
    const agent = await start('cancelled');
    const job = submit('sleep 300 & sleep 300');
    await agent.says('running', job);
    await eventuallyTrue('the job to run', () => sleepersOf(agent) === 2, 10_000);
    broker.framework.cancel(job);
    await agent.says('stopped', job);
    expect(sleepersOf(agent)).toBe(0);
    await eventuallyTrue('its files to go', () => attemptsOf('cancelled').length === 0, 5_000);
    const next = submit('echo here > out.txt', { outputs: [{ name: 'out.txt' }] });
    expect(await resultOf(next, 'out.txt')).toBe('here\n');
  });

  it('that dies in the middle of an attempt goes on with the same attempt at its next start (W-4)', async () => {
    const first = await start('killed');
    const flag = await input('flag', 'x');
    const job = submit('echo began; sleep 2; echo end > out.txt', {
      inputs: [flag],
      outputs: [{ name: 'out.txt' }],
    });
    await first.says('running', job);
    await eventuallyTrue('the job to run', () => sleepersOf(first) === 1, 10_000);
    await first.kill();
    const second = await start('killed');
    expect(await second.says('running', job)).toMatchObject({ attempt: 1 });
    expect(await resultOf(job, 'out.txt')).toBe('end\n');
    expect(broker.framework.record(job)).toMatchObject({ told: 1, progress: { attempt: 1 } });
    await eventuallyTrue('its files to go', () => attemptsOf('killed').length === 0, 10_000);
  });

  it('keeps its job while the broker is away, and reports to the next one', async () => {
    const agent = await start('patient');
    const job = submit('sleep 1; echo end > out.txt', { outputs: [{ name: 'out.txt' }] });
    await agent.says('running', job);
    await broker.stopBroker();
    await broker.startBroker();
    expect(await resultOf(job, 'out.txt')).toBe('end\n');
    expect(broker.framework.record(job)).toMatchObject({ told: 1, progress: { attempt: 1 } });
  });

  it('gives back what runs when it is asked to end, and ends with 0', async () => {
    const agent = await start('draining');
    const job = submit('[ $COPILOT_ATTEMPT = 2 ] || sleep 300; echo $COPILOT_ATTEMPT > out.txt', {
      outputs: [{ name: 'out.txt' }],
    });
    await agent.says('running', job);
    agent.signal('SIGTERM');
    expect(await agent.ends()).toBe(0);
    await start('draining');
    expect(await resultOf(job, 'out.txt')).toBe('2\n');
  });

  it('lets what runs end within the time it is given', async () => {
    const agent = await start('finishing', '--drain', '60');
    const job = submit('sleep 1; echo end > out.txt', { outputs: [{ name: 'out.txt' }] });
    await agent.says('running', job);
    agent.signal('SIGTERM');
    expect(await agent.ends()).toBe(0);
    expect(await resultOf(job, 'out.txt')).toBe('end\n');
  });

  it('shows its jobs none of its secrets, and nobody else (E-1, E-15, I10)', async () => {
    const agent = await start('secret');
    const keys = join(directoryOf('secret'), 'keys.json');
    await agent.says('asking');
    const job = submit(`cat ${keys} ${directoryOf('secret')}/identity.json; ls /proc/[0-9]*/root; exit 3`);
    const { failures } = await broker.end(job);
    expect(statSync(keys).mode & 0o777).toBe(0o600);
    const stored = { ...readJson(keys), ...readJson(join(directoryOf('secret'), 'identity.json')) };
    const code = readFileSync(`${directoryOf('secret')}.code`, 'utf8');
    const secrets = [stored['signing'], stored['session'], stored['identity'], code];
    for (const secret of secrets) {
      expect(secret).toEqual(expect.stringMatching(/.{40}/));
      expect(agent.output).not.toContain(secret);
      expect(JSON.stringify(failures)).not.toContain(secret);
    }
  });
});

describe('an agent in Python that may not work', () => {
  it('by a code that is spent or none ends with 69', async () => {
    const first = await start('owner');
    await first.says('connected');
    const spent = startWith(
      '--directory',
      directoryOf('thief'),
      '--code-file',
      `${directoryOf('owner')}.code`,
    );
    expect(await spent.ends()).toBe(69);
    expect(spent.said).toMatchObject([{ phase: 'ended', code: 'ENROLMENT_REFUSED' }]);
    const wrong = startWith('--directory', directoryOf('wrong'), '--code', 'cpc1.nonsense');
    expect(await wrong.ends()).toBe(69);
    // In the directory of one that runs: 75.
    expect(await (await start('owner')).ends()).toBe(75);
  });

  it('by a code that names another certifier, or an address that is not its own machine without TLS, ends before it enrols (E-3, E-7)', async () => {
    const [, body = ''] = (await broker.newCode()).split('.');
    const fields = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, string>;
    const changed = (change: object): string =>
      `cpc1.${Buffer.from(JSON.stringify({ ...fields, ...change })).toString('base64url')}`;
    const codes = [
      changed({ k: Buffer.alloc(32, 7).toString('base64url') }),
      changed({ u: 'http://192.0.2.1/' }),
    ];
    for (const [index, code] of codes.entries()) {
      const name = directoryOf(`pinned-${index}`);
      expect(await startWith('--directory', name, '--code', code).ends()).toBe(69);
      expect(existsSync(join(name, 'identity.json'))).toBe(false);
    }
  });

  it('where it cannot be told from the command line what to do ends with 64', async () => {
    expect(await startWith('--slots', 'many').ends()).toBe(64);
  });
});

function attemptsOf(name: string): readonly string[] {
  return readdirSync(join(directoryOf(name), 'attempts'));
}

function sleepersOf(agent: PythonAgent): number {
  return agent.processes().filter(({ pid, isZombie }) => !isZombie && isSleep(pid)).length;
}

function isSleep(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep\0');
  } catch {
    return false; // it ended meanwhile
  }
}

function readJson(path: string): Readonly<Record<string, string>> {
  return JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, string>>;
}
