import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AgentProcess, settings } from './agent-process.ts';
import { processesNaming, uniqueSleep } from './leftovers.ts';
import { useAgent } from './use-agent.ts';

const deadline = { timeout: 15_000, interval: 50 };

describe.each(settings(['bubblewrap', 'unshare', 'uid']))('$name', (setting) => {
  const agentOf = useAgent(setting);

  it('nothing of a job is left when it has ended, sessions of its own included', async () => {
    const agent = agentOf();
    const seconds = uniqueSleep();
    const outcome = await agent.runShell(
      `setsid sh -c 'setsid sleep ${seconds} & sleep ${seconds} & touch forked; wait' >/dev/null 2>&1 &
       while [ ! -e forked ]; do sleep 0.02; done; exit 4`,
    );
    expect(outcome.exit).toMatchObject({ kind: 'exited', code: 4 });
    expect(processesNaming(seconds)).toEqual([]);
  });

  it('a job that ignores every signal and keeps forking is ended whole', async () => {
    const agent = agentOf();
    const seconds = uniqueSleep();
    const job = await agent.startShell(
      `trap '' TERM INT HUP; touch ready; while :; do (trap '' TERM; sleep ${seconds}) & sleep 0.01; done`,
      { limits: { processes: 40 } },
    );
    await expect.poll(() => processesNaming(seconds).length, deadline).toBeGreaterThan(5);
    agent.signal(job, 'SIGKILL');
    expect(await job.outcome).toMatchObject({ exit: { kind: 'signalled', signal: 'SIGKILL' } });
    expect(processesNaming(seconds)).toEqual([]);
  });

  it('a job dies with its agent, however that dies', async () => {
    const agent = await AgentProcess.start(setting);
    try {
      const seconds = uniqueSleep();
      const job = await agent.startShell(
        `trap '' TERM; setsid sh -c 'trap "" TERM; sleep ${seconds}' & touch ready; sleep ${seconds}`,
      );
      await expect.poll(() => readdirSync(job.directory), deadline).toContain('ready');
      await expect.poll(() => processesNaming(seconds).length, deadline).toBeGreaterThan(1);
      agent.child.kill('SIGKILL');
      await expect.poll(() => processesNaming(seconds), deadline).toEqual([]);
    } finally {
      await agent.stop();
    }
  });

  it('the outermost layer being killed ends the job too', async () => {
    const agent = agentOf();
    const seconds = uniqueSleep();
    const job = await agent.startShell(`touch ready; sleep ${seconds}`);
    await expect.poll(() => readdirSync(job.directory), deadline).toContain('ready');
    process.kill(await job.pid, 'SIGKILL');
    expect(await job.outcome).toMatchObject({
      event: 'exit',
      exit: { kind: 'signalled', signal: 'SIGKILL' },
    });
    expect(processesNaming(seconds)).toEqual([]);
  });

  it('tells codes from signals and passes signals on', async () => {
    const agent = agentOf();
    expect((await agent.runShell('exit 7')).exit).toMatchObject({ kind: 'exited', code: 7 });
    expect((await agent.runShell('kill -SEGV $$')).exit).toMatchObject({
      kind: 'signalled',
      signal: 'SIGSEGV',
    });
    const job = await agent.startShell(
      'trap "echo drained; exit 5" TERM; touch ready; while :; do sleep 0.1; done',
    );
    await expect.poll(() => readdirSync(job.directory), deadline).toContain('ready');
    agent.signal(job, 'SIGTERM');
    expect(await job.outcome).toMatchObject({ exit: { kind: 'exited', code: 5 }, stdout: 'drained\n' });
  });
});
