import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { AgentProcess, secrets, settings, type Setting } from './agent-process.ts';
import { processesNaming, uniqueSleep } from './leftovers.ts';
import { useAgent } from './use-agent.ts';

const deadline = { timeout: 15_000, interval: 50 };

/** As `co-pilot up` starts them: an agent in a jail whose jobs are in jails of their own. */
const nested: Setting[] = settings(['bubblewrap', 'unshare']).flatMap((setting) =>
  (['bubblewrap', 'unshare'] as const).map((inside) => ({
    ...setting,
    inside,
    name: `${setting.method} inside ${inside}, started by ${setting.user === 'root' ? 'root' : 'an ordinary user'}`,
  })),
);

describe.each(nested)('$name', (setting) => {
  const agentOf = useAgent(setting);
  let agent: AgentProcess;
  beforeEach(() => {
    agent = agentOf();
  });

  it('a job runs and cannot read the key of its jailed agent', async () => {
    const outcome = await agent.runShell(
      `cat ${agent.key}; ls ${join(agent.base, 'agent', 'output')}; echo ran`,
    );
    expect(outcome).toMatchObject({ exit: { kind: 'exited', code: 0 }, stdout: 'ran\n' });
    expect(JSON.stringify(outcome)).not.toContain(secrets.key);
  });

  it('a job sees no process of its jailed agent', async () => {
    const outcome = await agent.runShell(
      'for p in /proc/[0-9]*; do cat $p/cmdline $p/environ; done 2>/dev/null; exit 0',
    );
    expect(outcome.stdout).not.toContain('agent-driver');
    expect(outcome.stdout).not.toContain(secrets.environment);
  });

  it('limits hold', async () => {
    const wall = await agent.runShell('sleep 60', { limits: { wallSeconds: 1 } });
    expect(wall.exit).toMatchObject({ kind: 'limit', limit: 'wall' });
    const disk = await agent.runShell('head -c 50m /dev/zero >big', { limits: { diskMiB: 10 } });
    expect(disk.exit).toMatchObject({ kind: 'limit', limit: 'disk' });
  });

  it('the end of who started the agent ends agent and jobs', async () => {
    const own = await AgentProcess.start(setting);
    try {
      const seconds = uniqueSleep();
      const job = await own.startShell(`trap '' TERM; touch ready; sleep ${seconds}`);
      await expect.poll(() => readdirSync(job.directory), deadline).toContain('ready');
      expect(processesNaming(own.base).length).toBeGreaterThan(1);
      own.child.kill('SIGKILL');
      await expect.poll(() => processesNaming(seconds), deadline).toEqual([]);
      await expect.poll(() => processesNaming(own.base), deadline).toEqual([]);
    } finally {
      await own.stop();
    }
  });
});

const jailed = settings(['bubblewrap', 'unshare']).flatMap((setting) =>
  setting.method === 'bubblewrap' || setting.method === 'unshare'
    ? [{ ...setting, inside: setting.method }]
    : [],
);

describe.each(jailed)('an agent inside $inside, started by $user', (setting) => {
  const agentOf = useAgent(setting);

  it('reads its own key and not the ledger of the broker', async () => {
    const agent = agentOf();
    expect(await agent.canRead(agent.key)).toBe(true);
    expect(await agent.canRead(agent.ledger)).toBe(false);
  });
});
