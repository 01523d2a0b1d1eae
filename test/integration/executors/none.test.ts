import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AgentProcess, settings } from './agent-process.ts';
import { processesNaming, uniqueSleep } from './leftovers.ts';
import { useAgent } from './use-agent.ts';

const deadline = { timeout: 15_000, interval: 50 };

/** What is left where somebody chose no isolation: limits, a clean environment, an end with the job and with the agent. */
describe.each(settings(['none']))('$name', (setting) => {
  const agentOf = useAgent(setting);

  it('a job runs in its directory with a clean environment and its input empty', async () => {
    const outcome = await agentOf().runShell('pwd; cat; env | grep -c AGENT; exit 3');
    expect(outcome.exit).toMatchObject({ kind: 'exited', code: 3 });
    expect(outcome.stdout).toMatch(/\/agent\/jobs\/job-\d+\n0\n$/);
  });

  it('limits hold, and the process group ends with the job', async () => {
    const agent = agentOf();
    const seconds = uniqueSleep();
    const wall = await agent.runShell(`sleep ${seconds} & sleep ${seconds}`, { limits: { wallSeconds: 1 } });
    expect(wall.exit).toMatchObject({ kind: 'limit', limit: 'wall' });
    const disk = await agent.runShell('head -c 50m /dev/zero >big', { limits: { diskMiB: 10 } });
    expect(disk.exit).toMatchObject({ kind: 'limit', limit: 'disk' });
    await agent.runShell(`sleep ${seconds} & exit 0`);
    expect(processesNaming(seconds)).toEqual([]);
  });

  it('a job dies with its agent', async () => {
    const agent = await AgentProcess.start(setting);
    try {
      const seconds = uniqueSleep();
      const job = await agent.startShell(`trap '' TERM; touch ready; sleep ${seconds}`);
      await expect.poll(() => readdirSync(job.directory), deadline).toContain('ready');
      agent.child.kill('SIGKILL');
      await expect.poll(() => processesNaming(seconds), deadline).toEqual([]);
    } finally {
      await agent.stop();
    }
  });

  it('refuses to cut the network off', async () => {
    const job = await agentOf().startShell('true', { network: 'none' });
    expect(await job.outcome).toMatchObject({ event: 'refused', code: 'LAUNCH_REFUSED' });
  });
});
