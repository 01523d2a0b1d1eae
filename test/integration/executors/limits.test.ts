import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { settings } from './agent-process.ts';
import { processesNaming, uniqueSleep } from './leftovers.ts';
import { useAgent } from './use-agent.ts';

const deadline = { timeout: 15_000, interval: 50 };
/** Time for a busy machine to have the job's shell set its trap before the limit. */
const wallSeconds = 6;
const megabytesOf = (name: string, mebibytes: number): string => `head -c ${mebibytes}m /dev/zero >${name}`;

describe.concurrent.each(settings(['bubblewrap', 'unshare', 'uid']))('$name', (setting) => {
  const agentOf = useAgent(setting);

  it('wall: ends in time, after SIGTERM let it tidy up', async () => {
    const seconds = uniqueSleep();
    const outcome = await agentOf().runShell(
      `trap 'echo tidied; exit 0' TERM; sleep ${seconds} & while :; do sleep 0.1; done`,
      { limits: { wallSeconds } },
    );
    expect(outcome).toMatchObject({ exit: { kind: 'limit', limit: 'wall' }, stdout: 'tidied\n' });
    expect(outcome.exit.usage.wallSeconds).toBeLessThan(wallSeconds + 4);
    expect(processesNaming(seconds)).toEqual([]);
  });

  it('wall: a job deaf to SIGTERM ends 5 s later', async () => {
    const outcome = await agentOf().runShell('trap "" TERM; while :; do sleep 0.1; done', {
      limits: { wallSeconds },
    });
    expect(outcome.exit).toMatchObject({ kind: 'limit', limit: 'wall' });
    expect(outcome.exit.usage.wallSeconds).toBeGreaterThan(wallSeconds + 4.9);
  });

  it('wall: a stopped job ends too', async () => {
    const agent = agentOf();
    const job = await agent.startShell('touch ready; sleep 60', { limits: { wallSeconds } });
    await expect.poll(() => readdirSync(job.directory), deadline).toContain('ready');
    agent.signal(job, 'SIGSTOP');
    expect(await job.outcome).toMatchObject({ exit: { kind: 'limit', limit: 'wall' } });
  });

  it('memory: of all its processes together', async () => {
    const agent = agentOf();
    const program = `const all = []; setInterval(() => all.length < 4 && all.push(Buffer.alloc(3e7, 1)), 20)`;
    const script = `"$1" -e "$2" & "$1" -e "$2" & wait`;
    const job = await agent.start({
      command: '/bin/sh',
      arguments: ['-c', script, 'job', agent.node, program],
      limits: { memoryMiB: 250 },
    });
    const outcome = await job.outcome;
    expect(outcome).toMatchObject({ exit: { kind: 'limit', limit: 'memory' } });
    if (outcome.event === 'exit') expect(outcome.exit.usage.memoryMiB).toBeGreaterThan(250);
  });

  it('memory: what processes share is not counted twice', async () => {
    const agent = agentOf();
    // Three times the same binary and heap start: over 120 MiB by plain sums, far below by shares.
    const script = 'for i in 1 2 3; do "$1" -e "setTimeout(() => {}, 2500)" & done; wait';
    const job = await agent.start({
      command: '/bin/sh',
      arguments: ['-c', script, 'job', agent.node],
      limits: { memoryMiB: 110 },
    });
    expect(await job.outcome).toMatchObject({ exit: { kind: 'exited', code: 0 } });
  });

  it('cpu: of all its processes together', async () => {
    const outcome = await agentOf().runShell('for i in 1 2 3; do (while :; do :; done) & done; wait', {
      limits: { cpuSeconds: 2 },
    });
    expect(outcome.exit).toMatchObject({ kind: 'limit', limit: 'cpu' });
    expect(outcome.exit.usage.cpuSeconds).toBeGreaterThan(1.9);
  });

  it('disk: one file', async () => {
    const outcome = await agentOf().runShell(megabytesOf('big', 50), { limits: { diskMiB: 10 } });
    expect(outcome.exit).toMatchObject({ kind: 'limit', limit: 'disk' });
    expect(outcome.exit.usage.diskMiB).toBeLessThan(11);
  });

  it('disk: many files, some with names that are no text', async () => {
    const names = ['a', '"$(printf \'\\377\')"', '"$(printf \'\\376\')"'];
    const script = `${names.map((name) => megabytesOf(name, 5)).join('; ')}; sleep 60`;
    const outcome = await agentOf().runShell(script, { limits: { diskMiB: 12 } });
    expect(outcome.exit).toMatchObject({ kind: 'limit', limit: 'disk' });
  });

  it('disk: deleted files that are still open', async () => {
    const files = [5, 6, 7].map((fd) => `exec ${fd}>gone; rm gone; head -c 5m /dev/zero >&${fd}`);
    const outcome = await agentOf().runShell(`${files.join('; ')}; ls; sleep 60`, {
      limits: { diskMiB: 12 },
    });
    expect(outcome.exit).toMatchObject({ kind: 'limit', limit: 'disk' });
    expect(outcome.stdout).toBe('');
  });

  it('disk: what a job left behind between two looks', async () => {
    const script = ['a', 'b', 'c'].map((name) => megabytesOf(name, 5)).join('; ');
    const outcome = await agentOf().runShell(script, { limits: { diskMiB: 12 } });
    expect(outcome.exit).toMatchObject({ kind: 'limit', limit: 'disk' });
  });

  it('output: the job ends and the file is cut', async () => {
    const outcome = await agentOf().runShell('yes', { limits: { outputMiB: 1 } });
    expect(outcome.exit).toMatchObject({ kind: 'limit', limit: 'disk' });
    expect(outcome.stdout.length).toBe(1_048_576);
  });

  it('files: too many entries, or deeper than anybody looks', async () => {
    const agent = agentOf();
    const many = 'i=0; while [ $i -lt 300 ]; do : >f$i; i=$((i+1)); done; sleep 60';
    const deep = 'i=0; while [ $i -lt 90 ]; do mkdir d; cd d; i=$((i+1)); done; sleep 60';
    for (const script of [many, deep]) {
      const outcome = await agent.runShell(script, { limits: { files: 200 } });
      expect(outcome.exit).toMatchObject({ kind: 'limit', limit: 'files' });
    }
  });

  it('processes: no more than allowed', async () => {
    const seconds = uniqueSleep();
    const script = `i=0; while [ $i -lt 60 ]; do sleep ${seconds} & i=$((i+1)); done; touch all; sleep 60`;
    const outcome = await agentOf().runShell(script, { limits: { processes: 20, wallSeconds: 5 } });
    expect(outcome.stderr).toMatch(/fork/i);
    expect(processesNaming(seconds)).toEqual([]);
  });

  it('open files: no more than allowed', async () => {
    const agent = agentOf();
    const program = `const fs = require('node:fs'); let n = 0; try { for (;;) { fs.openSync('/dev/null'); n++ } } catch (e) { console.log(e.code, n < 64) }`;
    const job = await agent.start({
      command: agent.node,
      arguments: ['-e', program],
      limits: { openFiles: 64 },
    });
    expect(await job.outcome).toMatchObject({ stdout: 'EMFILE true\n' });
  });
});

describe.each(settings(['bubblewrap', 'unshare']).filter((setting) => setting.user === 'ordinary'))(
  '$name',
  (setting) => {
    const agentOf = useAgent(setting);

    it('files: a directory the agent may not look into', async () => {
      const outcome = await agentOf().runShell('mkdir d; : >d/x; chmod 000 d; sleep 60');
      expect(outcome.exit).toMatchObject({ kind: 'limit', limit: 'files' });
    });
  },
);
