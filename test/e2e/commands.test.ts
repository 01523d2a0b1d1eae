import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { listProcesses, type ProcessEntry } from '../../agent/executors/process-table.ts';
import type { AgentSummary } from '../../broker/http/agent-routes.ts';
import { connect } from '../../cli/connection.ts';
import { openInstallation, roleDirectory } from '../../cli/installation.ts';
import { coPilot, gone, RunningCommand } from '../doubles/co-pilot-command.ts';
import { eventually, eventuallyTrue } from '../doubles/eventually.ts';
import { freePort } from '../doubles/free-port.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { type ShellCampaign, writeCampaign } from './campaigns.ts';
import { leaksInProcesses, leaksOnDisk, secretsOf } from './canaries.ts';
import { type Operator, operatorOf } from './operator.ts';

let base: string;
let directory: string;
let up: RunningCommand;
let operator: Operator;
let intakePort: number;
/** Of broker, local queue and bridge. */
let metricsPorts: readonly number[];

const SUBMITTER = 'the-token-of-a-program-on-this-machine';

beforeAll(async () => {
  base = await temporaryDirectory('commands');
  directory = join(base, 'installation');
  operator = operatorOf(directory);
  await openIntake();
  await startUp();
});

afterAll(async () => {
  await up.kill();
  await removeDirectory(base);
});

/** Jobs come over HTTP and from a folder, too. */
async function openIntake(): Promise<void> {
  await openInstallation({ directory });
  const tokensFile = join(roleDirectory(directory, 'local'), 'submitters');
  intakePort = await freePort();
  metricsPorts = [await freePort(), await freePort(), await freePort()];
  await writeFile(tokensFile, `program ${createHash('sha256').update(SUBMITTER).digest('hex')}\n`, {
    mode: 0o600,
  });
  const [brokerPort, localPort, bridgePort] = metricsPorts;
  const settings = {
    intake: { http: { port: intakePort, tokensFile }, directory: { path: join(base, 'spool') } },
    metrics: { brokerPort, localPort, bridgePort },
    bridge: { digests: ['adler32'] },
    queues: { main: { share: { owners: { program: 3 } } } },
  };
  await writeFile(join(directory, 'co-pilot.yaml'), JSON.stringify(settings), { mode: 0o600 });
}

async function startUp(): Promise<void> {
  up = new RunningCommand(['up', '--no-demo', '--agents', '2', '--data', directory]);
  await up.says('Still running', 60_000);
}

function campaign(name: string, script: string, more: Partial<ShellCampaign> = {}): Promise<string> {
  return writeCampaign(base, { name, script, jobs: 1, ...more });
}

function refused(exit: number, code: string): object {
  return { code: exit, answer: { error: { code } } };
}

describe('jobs', () => {
  it('are submitted and waited for, listed, shown and fetched', async () => {
    const file = await campaign('cubes', 'echo $((${n} * ${n} * ${n})) > cube.txt', {
      jobs: 3,
      outputs: ['cube.txt'],
    });
    const submitted = await operator.ask('job', 'submit', file, '--wait');
    expect(submitted).toMatchObject({
      code: 0,
      answer: { counts: { total: 3, states: { finished: 3, failed: 0 } } },
    });
    const { campaign: name, jobs } = submitted.answer as { campaign: string; jobs: string[] };
    expect(name).toMatch(/^cubes-[a-z2-7]{6}$/);
    const listed = await operator.list('--campaign', name, '--state', 'finished');
    expect(listed.map(({ job }) => job).sort()).toEqual([...jobs].sort());
    const [first = '', second = '', third = ''] = jobs;
    expect(await operator.show(second)).toMatchObject({
      job: second,
      state: 'finished',
      attempt: 1,
      result: { manifest: [{ name: 'cube.txt', size: 2 }] },
    });
    const to = join(base, 'fetched');
    const fetched = await operator.ask('job', 'fetch', '--campaign', name, '--to', to);
    expect(fetched).toMatchObject({ code: 0, answer: { files: { length: 3 } } });
    expect(await readFile(join(to, third, 'cube.txt'), 'utf8')).toBe('27\n');
    const again = await operator.ask('job', 'fetch', first, '--to', to);
    expect(again).toEqual({ code: 0, answer: { files: [join(to, first, 'cube.txt')], bytes: 2, kept: 1 } });
  });

  it('for people too', async () => {
    const file = await campaign('plain', 'true');
    const submitted = await coPilot(['job', 'submit', file, '--wait', '--data', directory]);
    expect(submitted).toMatchObject({
      code: 0,
      stdout: '1 of 1 ended: 1 finished, 0 failed, 0 cancelled; 0 running\n',
    });
    const listed = await coPilot(['job', 'list', '--data', directory]);
    expect(listed.stdout).toMatch(/^JOB +LABEL +CAMPAIGN +STATE.*\n(.*\n)*.* plain-[a-z2-7]{6} +finished /);
  });

  it('that fail say why, and make --wait exit with 1', async () => {
    const file = await campaign('sorry', 'echo out of luck >&2; exit 3');
    const submitted = await operator.ask('job', 'submit', file, '--wait');
    expect(submitted).toMatchObject({ code: 1, answer: { counts: { states: { finished: 0, failed: 1 } } } });
    const [job = ''] = (submitted.answer as { jobs: string[] }).jobs;
    const reason = expect.stringContaining('exited with code 3');
    expect(await operator.show(job)).toMatchObject({
      state: 'failed',
      reason,
      failures: [{ attempt: 1, reason, logTail: expect.stringContaining('out of luck') }],
    });
    expect(await operator.ask('job', 'logs', job)).toMatchObject({
      code: 0,
      answer: { attempts: [{ attempt: 1, logTail: expect.stringContaining('out of luck') }] },
    });
    expect(await operator.ask('job', 'fetch', job)).toMatchObject(refused(66, 'NOT_FOUND'));
    const { stdout } = await coPilot(['job', 'why', job, '--data', directory]);
    expect(stdout).toMatch(
      /^The job failed: its program ended with code 3 .*\n( {2}.+\n)+next: .* \[payload-exit\]\n$/,
    );
  });

  it('say why they ended, as real agents ended them', async () => {
    const short = { limits: '{ wall: 1s, memory: 32MiB, disk: 4MiB }' };
    const ends = [
      ['crash', 'kill -SEGV $$', 'payload-signal', {}],
      ['slow', 'sleep 60', 'wall-limit', short],
    ] as const;
    const submitted = [];
    for (const [name, script, cause, more] of ends)
      submitted.push({ cause, ...(await operator.submit(await campaign(name, script, more))) });
    for (const { jobs, cause } of submitted) {
      await operator.reaches(jobs, 'failed');
      expect(await operator.ask('job', 'why', jobs[0] ?? '')).toMatchObject({ code: 0, answer: { cause } });
    }
    expect(await operator.ask('job', 'why', 'a'.repeat(26))).toMatchObject({
      code: 66,
      answer: { cause: 'unknown-job' },
    });
  });

  it('that leave out a declared output fail', async () => {
    const { jobs } = await operator.submit(await campaign('empty', 'true', { outputs: ['result.txt'] }));
    await operator.reaches(jobs, 'failed');
    expect((await operator.show(jobs[0] ?? '')).reason).toContain('result.txt');
    const why = await operator.ask('job', 'why', jobs[0] ?? '');
    expect(why.answer).toMatchObject({
      cause: 'missing-output',
      sentence: expect.stringContaining('result.txt'),
    });
  });

  it('are cancelled while they run and while they wait, and not once they have a result', async () => {
    const { campaign: name, jobs } = await operator.submit(
      await campaign('endless', 'sleep 100', { jobs: 4 }),
    );
    await eventuallyTrue(
      'two jobs to run',
      async () => (await operator.list('--campaign', name, '--state', 'running')).length === 2,
      30_000,
    );
    expect((await operator.ask('job', 'cancel', ...jobs)).code).toBe(0);
    await operator.reaches(jobs, 'cancelled');
    // The machines are free again: what they ran has ended.
    const next = await operator.submit(await campaign('after', 'true', { jobs: 2 }));
    await operator.reaches(next.jobs, 'finished');
    const late = await operator.ask('job', 'cancel', next.jobs[0] ?? '');
    expect(late.answer).toMatchObject({ jobs: [{ state: 'finished' }] });
  });

  it.concurrent.each([
    ['job', 'show', 'a'.repeat(26)],
    ['job', 'cancel', 'a'.repeat(26)],
    ['job', 'fetch', 'a'.repeat(26)],
    ['agent', 'revoke', 'a'.repeat(26)],
  ])('%s %s of what is not there: 66', async (...args) => {
    expect(await operator.ask(...args)).toMatchObject(refused(66, 'NOT_FOUND'));
  });

  it.concurrent.each([
    ['job', 'show', '../../x'],
    ['job', 'list', '--state', 'asleep'],
    ['job', 'list', '--campaign', 'No Such'],
    ['job', 'fetch'],
    ['agent', 'code', '--owner', 'Not A Name'],
    ['agent', 'code', '--hours', 'many'],
  ])('%s %s with a wrong word: 65', async (...args) => {
    expect(await operator.ask(...args)).toMatchObject(refused(65, 'INVALID_REQUEST'));
  });

  it('of a wrong file are refused with the place: 65', async () => {
    const file = join(base, 'wrong.yaml');
    await writeFile(file, 'name: wrong\ncommand: sh\nlimts: { wall: 1m }\n');
    const { code, answer } = await operator.ask('job', 'submit', file);
    expect({ code, answer }).toMatchObject(refused(65, 'INVALID_CAMPAIGN'));
    expect(JSON.stringify(answer)).toContain('wrong.yaml:3:1');
    expect(JSON.stringify(answer)).toContain('limits');
  });

  it('of no file at all: 65', async () => {
    const { code, answer } = await operator.ask('job', 'submit', join(base, 'nowhere.yaml'));
    expect({ code, answer }).toMatchObject(refused(65, 'INVALID_CAMPAIGN'));
    expect(JSON.stringify(answer)).toContain('nowhere.yaml');
  });
});

describe('jobs that come another way', () => {
  it('over HTTP and from a folder run with their inputs', async () => {
    await writeFile(join(base, 'spool', 'incoming', 'card.txt'), 'beam 45.6');
    const file = join(base, 'spool', 'incoming', 'dropped.yaml');
    await writeFile(
      `${file}.tmp`,
      "name: dropped\ncommand: sh\narguments: ['-c', 'cp card.txt out.txt']\ninputs: [card.txt]\noutputs: [out.txt]\n" +
        'limits: { wall: 1m, memory: 64MiB, disk: 10MiB }\n',
    );
    await rename(`${file}.tmp`, file);
    const text = 'beam 91.2';
    const sha256 = createHash('sha256').update(text).digest('hex');
    const url = `http://127.0.0.1:${intakePort}/v1`;
    const authorization = `Bearer ${SUBMITTER}`;
    const body = {
      method: 'PUT',
      body: text,
      headers: { authorization, 'content-type': 'application/octet-stream' },
    };
    expect(await (await fetch(`${url}/inputs/${sha256}`, body)).json()).toEqual({
      sha256,
      size: text.length,
    });
    const description = {
      ...{ command: 'sh', arguments: ['-c', 'cp card.txt out.txt'], environment: {}, requirements: '' },
      inputs: [{ name: 'card.txt', size: text.length, sha256 }],
      outputs: [{ name: 'out.txt' }],
      limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 10 },
    };
    const posted = await fetch(`${url}/jobs`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json', 'idempotency-key': 'once' },
      body: JSON.stringify({
        ...{ queue: 'main', campaign: 'posted' },
        jobs: [{ label: 'posted', priority: 0, retries: 0, description }],
      }),
    });
    const { jobs } = (await posted.json()) as { jobs: string[] };
    const receipt = await eventually(
      'the receipt of what was dropped',
      async () => {
        const [folder] = await readdir(join(base, 'spool', 'accepted'));
        if (folder === undefined) return undefined;
        return JSON.parse(
          await readFile(join(base, 'spool', 'accepted', folder, 'receipt.json'), 'utf8'),
        ) as {
          jobs: string[];
        };
      },
      30_000,
    );
    await operator.reaches([...jobs, ...receipt.jobs], 'finished');
    const to = join(base, 'other-ways');
    for (const [job = '', content] of [
      [jobs[0], text],
      [receipt.jobs[0], 'beam 45.6'],
    ] as const) {
      expect((await operator.ask('job', 'fetch', job, '--to', to)).code).toBe(0);
      expect(await readFile(join(to, job, 'out.txt'), 'utf8')).toBe(content);
    }
  });
});

describe('commands', () => {
  it('where nothing runs: 69', async () => {
    const nowhere = operatorOf(join(base, 'elsewhere'));
    expect(await nowhere.ask('job', 'list')).toMatchObject(refused(69, 'UNREACHABLE'));
  });

  it.concurrent.each(['jobs', 'job show', 'up --twice', 'job list x'])(
    'that are none: 64 (%s)',
    async (words) => {
      expect((await coPilot(words.split(' '))).code).toBe(64);
    },
  );
});

describe('the installation', () => {
  it('is found well by the doctor while it runs', async () => {
    const { answer } = await operator.ask('doctor');
    const { findings } = answer as { findings: { what: string; status: string; detail: string }[] };
    const statusOf = new Map(findings.map(({ what, status }) => [what, status]));
    const parts = ['broker', 'local', 'bridge', 'adapter local', 'adapter bridge', 'agents'];
    const own = [...parts, 'configuration', 'permissions', 'addresses', 'logs'];
    expect(own.map((what) => [what, statusOf.get(what)])).toEqual(own.map((what) => [what, 'ok']));
    const ports = findings.filter(({ what }) => what.startsWith('port '));
    expect(ports.map(({ detail }) => detail)).toEqual(Array.from({ length: 7 }, () => 'in use, by us'));
    const held = findings.filter(({ what }) => what.endsWith('.sqlite'));
    expect(held.map(({ detail }) => detail)).toContain('held by the broker that runs');
  });

  it('runs with what its file says, and says so', async () => {
    const { code, answer } = await operator.ask('config', 'check');
    const { settings, warnings } = answer as {
      settings: { key: string; value: unknown; origin: string }[];
      warnings: string[];
    };
    expect({ code, warnings }).toEqual({ code: 0, warnings: [] });
    expect(settings.find(({ key }) => key === 'intake.http.port')).toMatchObject({
      value: intakePort,
      origin: `${join(directory, 'co-pilot.yaml')}:1`,
    });
    const served = await Promise.all(
      metricsPorts.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
    );
    const names = ['copilot_jobs', 'copilot_local_jobs', 'copilot_bridge_uploads'];
    expect(served.map((text, at) => text.includes(`${names[at]} `))).toEqual([true, true, true]);
  });
});

describe('agents of other people', () => {
  const running: RunningCommand[] = [];
  afterEach(async () => {
    for (const agent of running.splice(0)) await agent.kill();
  });

  async function runAgent(name: string, code: string): Promise<RunningCommand> {
    const file = join(base, `${name}.code`);
    await writeFile(file, code, { mode: 0o600 });
    const agent = new RunningCommand([
      ...['agent', 'run', '--directory', join(base, name), '--code-file', file],
      ...['--isolation', 'none', '--json'],
    ]);
    running.push(agent);
    return agent;
  }

  it('enrol by a code once, work, and are out for good when revoked', async () => {
    const made = await operator.ask('agent', 'code', '--owner', 'volunteer', '--site', 'attic');
    expect(made.code).toBe(0);
    const { code } = made.answer as { code: string };
    const agent = await runAgent('first', code);
    await agent.says('"phase":"asking"', 30_000);
    const second = await (await runAgent('second', code)).endsWithin(30_000);
    expect(second).toMatchObject({ code: 69, stdout: expect.stringContaining('ENROLMENT_REFUSED') });

    const { campaign: name, jobs } = await operator.submit(await campaign('three', 'sleep 1', { jobs: 3 }));
    const id = await eventually(
      'the new agent to run a job',
      async () =>
        (await operator.list('--campaign', name)).find(
          ({ job, agent: holder }) => holder !== '' && agent.stdout.includes(job),
        )?.agent,
      30_000,
    );
    expect(await operator.ask('agent', 'revoke', id)).toMatchObject(refused(65, 'INVALID_REQUEST'));
    const revoked = await operator.ask('agent', 'revoke', id, '--yes');
    expect(revoked).toEqual({ code: 0, answer: { agent: id, status: 'revoked' } });
    expect((await agent.endsWithin(30_000)).code).toBe(77);
    // It comes back with its old keys and identity: it stays out.
    expect((await (await runAgent('first', code)).endsWithin(30_000)).code).toBe(77);
    await operator.reaches(jobs, 'finished');
  });

  it('end by themselves when they are drained, and stay drained until that is taken back', async () => {
    const made = await operator.ask('agent', 'code', '--owner', 'guest');
    const agent = await runAgent('drained', (made.answer as { code: string }).code);
    await agent.says('"phase":"asking"', 30_000);
    const { agents } = (await operator.ask('agent', 'list')).answer as { agents: AgentSummary[] };
    const id = agents.find(({ owner, connected }) => owner === 'guest' && connected)?.agent ?? '';
    expect(await operator.ask('agent', 'drain', id)).toMatchObject({ answer: { status: 'draining' } });
    expect((await agent.endsWithin(30_000)).code).toBe(0);
    expect(await operator.ask('agent', 'drain', id, '--undo')).toMatchObject({
      answer: { status: 'active' },
    });
  });

  it('are refused a code that is none', async () => {
    const agent = await runAgent('wrong', 'cpc1.nonsense');
    expect(await agent.endsWithin(30_000)).toMatchObject({
      code: 69,
      stdout: expect.stringContaining('INVALID_CODE'),
    });
  });
});

describe('a second up', () => {
  it('on the same directory is refused, and the first goes on', async () => {
    const second = await coPilot(['up', '--no-demo', '--agents', '1', '--json', '--data', directory]);
    expect({ ...second, stdout: JSON.parse(second.stdout) }).toMatchObject({
      code: 73,
      stdout: { error: { code: 'LEDGER_IN_USE' } },
    });
    const { jobs } = await operator.submit(await campaign('still', 'true'));
    await operator.reaches(jobs, 'finished');
  });

  it.each([0, 1, 2])(
    'on taken ports says which (%i after --port), and leaves nothing behind',
    async (offset) => {
      const first = await freePorts();
      const other = createServer().listen(first + offset, '127.0.0.1');
      await once(other, 'listening');
      try {
        const data = join(base, `taken-${offset}`);
        const args = ['up', '--no-demo', '--agents', '0', '--port', String(first), '--data', data];
        const command = new RunningCommand(args);
        const { code, stderr } = await command.endsWithin(40_000);
        expect({ code, stderr }).toMatchObject({ code: 73, stderr: expect.stringContaining('[PORT_TAKEN]') });
        expect(stderr).toContain(String(first + offset));
        expect(namedBy(data)).toEqual([]);
      } finally {
        other.close();
      }
    },
  );
});

/** The first of three free ports in a row. */
async function freePorts(): Promise<number> {
  return eventually(
    'three free ports in a row',
    async () => {
      const first = await freePort();
      const free = await Promise.all([1, 2].map((offset) => isFree(first + offset)));
      return free.every(Boolean) ? first : undefined;
    },
    10_000,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

describe('the end of it', () => {
  it('keeps every secret in its place (I10)', async () => {
    const secrets = await secretsOf(directory);
    expect(leaksInProcesses(up.processes(), secrets)).toEqual([]);
    expect(await leaksOnDisk(directory, secrets)).toEqual([]);
  });

  it('by Ctrl-C leaves no process; what ran is given back and runs again at the next start', async () => {
    const file = await campaign('interrupted', 'ln job.sh twin; sleep 100', { jobs: 2 });
    const { jobs } = await operator.submit(file);
    await operator.reaches(jobs, 'running');
    const processes = up.processes();
    expect(processes.length).toBeGreaterThan(6);
    up.interrupt();
    const { code, stdout, stderr } = await up.endsWithin(30_000);
    expect(code).toBe(0);
    expect(stdout + stderr).not.toContain('started again');
    await gone(processes, 1_000);
    expect(namedBy(directory)).toEqual([]);

    await startUp();
    await operator.reaches(jobs, 'running');
    expect((await operator.ask('job', 'cancel', ...jobs)).code).toBe(0);
  });

  it('by SIGKILL leaves no process either, and the next up goes on where it was', async () => {
    // Two names of one file in the work directory: the next start must live with what a power cut leaves.
    const file = await campaign('survivors', 'ln job.sh twin; sleep 1; echo ${n} > n.txt', {
      jobs: 6,
      outputs: ['n.txt'],
    });
    const { campaign: name, jobs } = await operator.submit(file);
    // Asked in this process: on a busy machine all would be over before a command has said what runs.
    const { queue } = await connect(directory);
    await eventuallyTrue(
      'some to have ended and others to run',
      async () => {
        const { states } = await queue.counts(name);
        return states.finished > 0 && states.running > 0;
      },
      60_000,
    );
    const processes = up.processes();
    up.signal('SIGKILL');
    await gone(processes, 15_000);
    expect(namedBy(directory)).toEqual([]);

    await startUp();
    await operator.reaches(jobs, 'finished');
    const to = join(base, 'survived');
    const fetched = await operator.ask('job', 'fetch', '--campaign', name, '--to', to);
    expect(fetched.answer).toMatchObject({ files: { length: 6 } });
    const texts = await Promise.all(jobs.map((job) => readFile(join(to, job, 'n.txt'), 'utf8')));
    expect(texts.map(Number)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await readdir(to)).toHaveLength(6);
  });
});

/** Processes that have the directory among their arguments, as all that an installation starts do. */
function namedBy(path: string): readonly ProcessEntry[] {
  return listProcesses().filter(({ pid, isZombie }) => !isZombie && argumentsOf(pid).includes(path));
}

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it ended meanwhile
  }
}
