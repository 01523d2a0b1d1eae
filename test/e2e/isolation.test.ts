import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isNamespaceInit, type ProcessEntry } from '../../agent/executors/process-table.ts';
import { detectAgentIsolation } from '../../cli/agent-fleet.ts';
import { controlSocket, ROLES } from '../../cli/installation.ts';
import { RunningCommand } from '../doubles/co-pilot-command.ts';
import { eventually } from '../doubles/eventually.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { writeCampaign } from './campaigns.ts';
import {
  agentProcesses,
  leaksInProcesses,
  leaksOnDisk,
  plantGridCredentials,
  secretsOf,
} from './canaries.ts';
import type { GridCredentials } from './canaries.ts';
import { type Operator, operatorOf } from './operator.ts';

const isRoot = process.getuid?.() === 0;
const detected = await detectAgentIsolation(undefined);
/** Only namespaces can be looked into from outside. */
const isNamespaced =
  detected.kind === 'found' && (detected.method === 'bubblewrap' || detected.method === 'unshare');

let base: string;
let directory: string;
let grid: GridCredentials;
let up: RunningCommand;
let operator: Operator;

beforeAll(async () => {
  if (!isNamespaced) return;
  base = await temporaryDirectory('isolation');
  directory = join(base, 'installation');
  grid = await plantGridCredentials(directory);
  operator = operatorOf(directory);
  await startUp();
});

afterAll(async () => {
  if (!isNamespaced) return;
  await up.kill();
  await removeDirectory(base);
});

beforeEach((context) => {
  if (isNamespaced) return;
  if (process.env['CI'] === 'true') throw new Error('no way to isolate agents works here');
  context.skip('no way to isolate agents works here');
});

async function startUp(): Promise<void> {
  up = new RunningCommand(['up', '--no-demo', '--agents', '2', '--json', '--data', directory], {
    env: grid.environment,
  });
  await up.says('Still running', 60_000);
}

/** What nobody but the trusted programs may read: files, sockets and directories. */
function trustedPaths(): readonly string[] {
  return [
    ...ROLES.flatMap((role) => [
      join(directory, role),
      join(directory, role, 'config.json'),
      join(directory, role, 'log'),
    ]),
    join(directory, 'broker/ledger.sqlite'),
    join(directory, 'broker/codes.sqlite'),
    join(directory, 'local/queue.sqlite'),
    join(directory, 'local/grid/userkey.pem'),
    join(directory, 'bridge/grid/token'),
    join(directory, 'bridge/capability.key'),
    join(directory, 'agents'),
    controlSocket(directory, 'broker'),
    controlSocket(directory, 'local'),
  ];
}

const MARK = 'planted-by-somebody-who-may-not';

/** Says of each path whether it can be read or listed, tries to write to it, and shows all that /proc shows. */
function probe(paths: readonly string[]): string {
  return [
    // In two halves: the mark itself is nowhere but where it could be written.
    'mark=planted-by; mark="$mark-somebody-who-may-not"',
    ...paths.flatMap((path) => [
      `[ -r '${path}' ] && echo 'r ${path}'`,
      `ls '${path}/' 2>/dev/null | sed 's|^|lists ${path} |'`,
    ]),
    ...paths.map((path) => `( echo "$mark" >>'${path}' || echo "$mark" >>'${path}/x' ) 2>/dev/null`),
    'for p in /proc/[0-9]*; do tr "\\0" " " <$p/cmdline; echo; tr "\\0" "\\n" <$p/environ; done 2>/dev/null | sed "s/^/proc /"',
    'id -u | sed "s/^/uid /"',
    'grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status',
    'kill -0 -1 2>/dev/null && echo "signals others"',
    'true',
  ].join('\n');
}

function readable(report: string): readonly string[] {
  return report.split('\n').filter((line) => /^(?:r|lists) /.test(line));
}

/** What only processes of the trusted side have among their arguments or in their environment. */
function strangers(): readonly string[] {
  return ['co-pilot.ts', '--role', ...Object.values(grid.environment)];
}

function mentions(report: string, words: readonly string[]): readonly string[] {
  return words.filter((word) => report.includes(word));
}

/** A job may write below its own /tmp, which holds nothing of ours: what counts is what came of it out here. */
async function whereIsTheMark(): Promise<readonly string[]> {
  const mark = { name: 'the mark', needles: [Buffer.from(MARK)], homes: [], mayBeSealed: false };
  return leaksOnDisk(directory, [mark]);
}

describe('a job', () => {
  it("reads nothing of broker, adapters, agents or other jobs, and sees nobody else's processes", async () => {
    const agents = ['agent-1', 'agent-2'].map((name) => join(directory, 'agents', name));
    const secrets = agents.flatMap((agent) => [
      join(agent, 'keys.json'),
      join(agent, 'identity.json'),
      `${agent}.code`,
    ]);
    const script = [
      `{\n${probe([...trustedPaths(), ...secrets, ...agents])}\n} >probe.txt 2>&1`,
      // The other job of the campaign runs beside this one meanwhile.
      'pwd >place.txt; sleep 2',
      `ls -R '${join(directory, 'agents')}' >neighbours.txt 2>&1; true`,
    ].join('\n');
    const outputs = ['probe.txt', 'place.txt', 'neighbours.txt'];
    const file = await writeCampaign(base, { name: 'probe', script, jobs: 2, outputs });
    const { campaign, jobs } = await operator.submit(file);
    await operator.reaches(jobs, 'finished');
    const to = join(base, 'probes');
    await operator.ask('job', 'fetch', '--campaign', campaign, '--to', to);
    for (const job of jobs) {
      const text = (name: string): Promise<string> => readFile(join(to, job, name), 'utf8');
      const report = await text('probe.txt');
      expect(readable(report).filter((line) => !isOnTheWay(line, job))).toEqual([]);
      expect(report).toContain(`proc COPILOT_JOB=${job}`);
      const otherJob = jobs.find((candidate) => candidate !== job) ?? '';
      expect(mentions(report, [...strangers(), 'program.ts', otherJob])).toEqual([]);
      expect(await text('place.txt')).toContain(job);
      expect(await text('neighbours.txt')).not.toContain(otherJob);
    }
    expect(await whereIsTheMark()).toEqual([]);
  });
});

/** The directories above a job's own are there, and empty but for the next one. */
function isOnTheWay(line: string, job: string): boolean {
  const agents = join(directory, 'agents');
  const shown = [
    `r ${agents}`,
    ...['agent-1', 'agent-2'].flatMap((name) => [
      `lists ${agents} ${name}`,
      `r ${agents}/${name}`,
      `lists ${agents}/${name} attempts`,
    ]),
  ];
  return shown.includes(line) || line.endsWith(` ${job}.1`);
}

describe('an agent', () => {
  it('has nothing of the trusted side in its view of files, and is alone in its view of processes', async () => {
    const agent = await eventually('the agent to run', () => agentInside('agent-1'), 20_000);
    const isSeen = (path: string): boolean => existsSync(`/proc/${agent.pid}/root${path}`);
    const own = join(directory, 'agents/agent-1');
    expect([own, join(own, 'keys.json')].filter((path) => !isSeen(path))).toEqual([]);
    const other = join(directory, 'agents/agent-2');
    const hidden = [...trustedPaths(), other, join(other, 'keys.json'), `${other}.code`];
    expect(hidden.filter((path) => path !== join(directory, 'agents') && isSeen(path))).toEqual([]);
    const namespace = namespaceOf(agent.pid);
    const peers = up.processes().filter(({ pid }) => namespaceOf(pid) === namespace);
    const strangers = peers.filter(({ pid }) => !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(own));
    expect(peers.length).toBeGreaterThan(0);
    expect(strangers).toEqual([]);
  });

  it.runIf(isRoot)('that tries reads and writes nothing of theirs', async () => {
    const own = join(directory, 'agents/agent-1');
    const other = join(directory, 'agents/agent-2');
    const agent = await eventually('the agent to run', () => agentInside('agent-1'), 20_000);
    const paths = [...trustedPaths(), other, join(other, 'keys.json'), `${other}.code`];
    const ownKeys = `[ -r '${own}/keys.json' ] && echo 'r ${own}/keys.json'`;
    const report = runInside(
      agent,
      `${ownKeys}
${probe(paths)}`,
    );
    const agents = join(directory, 'agents');
    const expected = [`r ${own}/keys.json`, `r ${agents}`, `lists ${agents} agent-1`];
    expect(
      readable(report)
        .filter((line) => line !== `lists ${agents} agent-1.code`)
        .sort(),
    ).toEqual(expected.sort());
    expect(report).toContain('agent/program.ts');
    expect(mentions(report, [...strangers(), 'agent-2'])).toEqual([]);
    expect(await whereIsTheMark()).toEqual([]);
  });

  it('has no privileges, and no secret of the trusted side in its environment or arguments (I10)', async () => {
    const agent = await eventually('the agent to run', () => agentInside('agent-2'), 20_000);
    const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    if (isRoot) expect(status).not.toMatch(/^Uid:\s+0\b/m);
    const canaries = [...grid.canaries, ...(await secretsOf(directory))];
    expect(leaksInProcesses(up.processes(), canaries)).toEqual([]);
    expect(await leaksOnDisk(directory, canaries)).toEqual([]);
  });

  it('that leaves links in its directory gets no file of ours at the next start', async () => {
    const target = join(directory, 'broker/config.json');
    const before = [statSync(target), readFileSync(target, 'utf8')];
    up.signal('SIGTERM');
    await up.endsWithin(30_000);
    for (const name of ['code', 'agent-1.code', 'log', 'work'])
      await symlink(target, join(directory, 'agents/agent-1', name));
    await startUp();
    await eventually('the agent to run', () => agentInside('agent-1'), 20_000);
    expect([statSync(target), readFileSync(target, 'utf8')]).toEqual(before);
  });
});

/** The agent's own process, inside its jail. */
function agentInside(name: string): ProcessEntry | undefined {
  const processes = up.processes();
  const inits = new Set(processes.filter(({ pid }) => isNamespaceInit(pid)).map(({ pid }) => pid));
  return agentProcesses(processes).find(({ pid, parent }) => {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const isNode = words[0] === process.execPath && words.some((word) => word.endsWith(`/${name}`));
    return isNode && (inits.has(parent) || inits.has(pid));
  });
}

/** The process namespace, as the kernel names it; empty for one that has ended. */
function namespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return '';
  }
}

/** Runs a script where the agent is and as who it is, with no more privileges than it has. For root alone. */
function runInside(agent: ProcessEntry, script: string): string {
  const uid = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1] ?? '';
  const enter = ['--target', String(agent.pid), '--mount', '--pid', '-S', uid, '-G', uid];
  const drop = ['setpriv', '--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all'];
  // By standard input: what is looked for must not be among the arguments of the one who looks.
  const { stdout, stderr, status } = spawnSync('nsenter', [...enter, '--', ...drop, '/bin/sh', '-s'], {
    env: {},
    input: script,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the jail could not be entered: ${stderr}`);
  return stdout;
}
