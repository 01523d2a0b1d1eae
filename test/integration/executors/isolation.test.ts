import { spawn } from 'node:child_process';
import { linkSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { secrets, settings, type AgentProcess } from './agent-process.ts';
import { processesNaming, uniqueSleep } from './leftovers.ts';
import { useAgent } from './use-agent.ts';

const anySecret = new RegExp(Object.values(secrets).join('|'));

/** Tries to read a file or list a directory each way a shell can; ends with 0 only where one worked. */
const tryToRead = 'cat "$1" || ls "$1"/ || cat "$1"/* || (exec 3<"$1")';

/** The fourth field after the name in `/proc/<pid>/stat`; undefined for a process that has ended. */
function sessionOf(pid: number): string | undefined {
  try {
    return /\) \S \d+ \d+ (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

describe.each(settings(['bubblewrap', 'unshare', 'uid']))('$name', (setting) => {
  const agentOf = useAgent(setting);
  let agent: AgentProcess;
  beforeEach(() => {
    agent = agentOf();
  });

  const attack = (path: string) =>
    agent.start({ command: '/bin/sh', arguments: ['-c', tryToRead, 'job', path] }).then((job) => job.outcome);

  const expectNothing = async (path: string): Promise<void> => {
    const outcome = await attack(path);
    expect(outcome).toMatchObject({ event: 'exit', exit: { kind: 'exited' } });
    expect(outcome).not.toMatchObject({ exit: { code: 0 } });
    expect(JSON.stringify(outcome)).not.toMatch(anySecret);
  };

  it('a job cannot read the key of the agent', () => expectNothing(agent.key));

  it('a job cannot read the files of the broker', () => expectNothing(agent.ledger));

  it('a job cannot list the directory of the broker', () => expectNothing(join(agent.base, 'broker')));

  it.each(['environ', 'mem', 'fd', 'cwd', 'root', 'maps', 'task'])(
    'a job cannot read /proc/<agent>/%s',
    async (name) => {
      if (name === 'task' && setting.method === 'uid') {
        // Thread ids are no secret; what lies below them is.
        await expectNothing(`/proc/${agent.pid}/task/${agent.pid}/environ`);
      } else await expectNothing(`/proc/${agent.pid}/${name}`);
    },
  );

  it('a job cannot read an environ or a memory of any process but its own', async () => {
    const script =
      'for p in /proc/[0-9]*; do cat $p/environ; ls -l $p/fd $p/cwd/ $p/root/; done 2>/dev/null; exit 0';
    const outcome = await agent.runShell(script);
    expect(outcome.stdout).not.toMatch(anySecret);
    expect(outcome.stdout).not.toContain('ledger.db');
  });

  it('a job cannot see the directory of another job that runs beside it', async () => {
    const other = await agent.startShell('echo mine >secret; touch ready; sleep 30');
    await expect.poll(() => readdirSync(other.directory), { timeout: 10_000 }).toContain('ready');
    await expectNothing(other.directory);
    await expectNothing(join(other.directory, 'secret'));
    agent.signal(other, 'SIGKILL');
    expect(await other.outcome).toMatchObject({ exit: { kind: 'signalled', signal: 'SIGKILL' } });
  });

  it('a job cannot signal the agent nor anything else outside', async () => {
    // Named one by one, never -1: were a job not kept apart, the test would end every process of whoever runs it.
    const bystander = spawn('sleep', ['60']);
    try {
      const targets = [agent.pid, bystander.pid].join(' ');
      const outcome = await agent.runShell(`for p in ${targets}; do kill -9 $p && echo killed; done; exit 0`);
      expect(outcome.stdout).toBe('');
      expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
      expect((await agent.runShell('echo alive')).stdout).toBe('alive\n');
    } finally {
      bystander.kill('SIGKILL');
    }
  });

  it('a job has a clean environment', async () => {
    const outcome = await agent.runShell('env', { environment: { CARD: 'a b\nc', HOME: '/elsewhere' } });
    const workDirectory = /^HOME=(.*)$/m.exec(outcome.stdout)?.[1] ?? '';
    const lines = outcome.stdout.split('\n').filter((line) => !/^(_|PWD|OLDPWD|SHLVL)=/.test(line));
    expect(lines.toSorted()).toEqual(
      [
        '',
        'CARD=a b',
        'c',
        `HOME=${workDirectory}`,
        'LANG=C.UTF-8',
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ].toSorted(),
    );
    expect(workDirectory).toContain('/agent/jobs/job-');
  });

  it('variables of a job do not act on the layers that hold it', async () => {
    const outcome = await agent.runShell('echo ran', {
      environment: { LD_PRELOAD: '/nonexistent/evil.so', ENV: '/nonexistent/rc', IFS: '/', PS4: '$(id)' },
    });
    expect(outcome).toMatchObject({ stdout: 'ran\n', exit: { kind: 'exited', code: 0 } });
  });

  it('a job inherits no descriptor', async () => {
    // The descriptor ls itself opens shows the directory of descriptors.
    const outcome = await agent.runShell('ls -l /proc/self/fd');
    const targets = outcome.stdout.split('\n').flatMap((line) => /\d+ -> .*$/.exec(line)?.[0] ?? []);
    const beyond = targets.filter((target) => !/^[012] -> /.test(target));
    expect(targets.find((target) => target.startsWith('0 -> '))).toBe('0 -> /dev/null');
    expect(beyond.filter((target) => !/-> (\/proc\/\d+\/fd|\/dev\/null)$/.test(target))).toEqual([]);
  });

  it('a job has no capability and gains no privilege', async () => {
    const outcome = await agent.runShell('cat /proc/self/status');
    expect(outcome.stdout).toMatch(/NoNewPrivs:\s+1/);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) {
      expect(outcome.stdout).toMatch(new RegExp(`Cap${set}:\\s+0+\\n`));
    }
    expect(outcome.stdout).toMatch(/Groups:\s*(\d+ )?\n/);
  });

  it('a job runs in a session away from that of the agent', async () => {
    const seconds = uniqueSleep();
    const job = await agent.startShell(`touch ready; sleep ${seconds}`);
    await expect.poll(() => readdirSync(job.directory), { timeout: 10_000 }).toContain('ready');
    // Read from outside: inside, another namespace may give its session the number that ours has here.
    const sessions = processesNaming(seconds).flatMap((pid) => sessionOf(pid) ?? []);
    agent.signal(job, 'SIGKILL');
    await job.outcome;
    expect(sessions.length).toBeGreaterThan(0);
    expect(sessions).not.toContain(sessionOf(agent.pid));
    expect(sessions).not.toContain(sessionOf(process.pid));
  });

  it('a job writes its own directory and nothing it was shown to read', async () => {
    const script = [
      'echo x >mine && cat mine',
      'echo evil >>"$1" && echo appended',
      'chmod 777 "$1" && echo changed',
      'for d in /usr /etc /usr/bin /; do [ -w $d ] && echo could write $d; done',
      'exit 0',
    ].join('\n');
    const job = await agent.start({ command: '/bin/sh', arguments: ['-c', script, 'job', agent.node] });
    const outcome = await job.outcome;
    expect(outcome).toMatchObject({ event: 'exit', stdout: 'x\n' });
    expect(statSync(agent.node)).toMatchObject({ size: statSync(process.execPath).size });
    expect(statSync(agent.node).mode & 0o777).toBe(0o755);
  });

  it('a job runs the node binary it was shown', async () => {
    const job = await agent.start({ command: agent.node, arguments: ['-p', '6*7'] });
    expect(await job.outcome).toMatchObject({
      event: 'exit',
      stdout: '42\n',
      exit: { kind: 'exited', code: 0 },
    });
  });

  it('a path hidden below a visible one is not there for a job, or the launch is refused', async () => {
    const visible = join(agent.base, `visible-${setting.method}`);
    await mkdir(join(visible, 'private'), { recursive: true });
    await writeFile(join(visible, 'public'), 'public');
    await writeFile(join(visible, 'private', 'file'), secrets.ledger);
    await writeFile(join(visible, 'secret'), secrets.ledger);
    for (const path of [visible, join(visible, 'private'), join(visible, 'secret')]) await chmod(path, 0o755);
    const job = await agent.startShell(
      `cat ${visible}/public; cat ${visible}/private/file ${visible}/secret`,
      {
        readOnly: [visible],
        hiddenPaths: [join(visible, 'private'), join(visible, 'secret')],
      },
    );
    const outcome = await job.outcome;
    expect(JSON.stringify(outcome)).not.toMatch(anySecret);
    if (setting.method === 'uid') {
      expect(outcome).toMatchObject({
        exit: { kind: 'not-started', reason: expect.stringContaining('could reach') },
      });
    } else expect(outcome).toMatchObject({ event: 'exit', stdout: 'public' });
  });

  it('says why where the program cannot be built a place or does not exist', async () => {
    const missing = await (await agent.start({ readOnly: ['/nonexistent/tree'] })).outcome;
    if (setting.method !== 'uid') expect(missing).toMatchObject({ exit: { kind: 'not-started' } });
    const noProgram = await (await agent.start({ command: '/nonexistent/program' })).outcome;
    expect(noProgram).toMatchObject({ exit: { kind: 'exited', code: 127 } });
  });

  describe('network', () => {
    const connect = (port: number): string[] => [
      '-e',
      `require('node:net').connect(${port}, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(9))`,
    ];

    it('none means none, host means the host', async () => {
      const server = createServer((socket) => socket.destroy());
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
      const { port } = server.address() as AddressInfo;
      try {
        const outcomes = [];
        for (const network of ['host', 'none'] as const) {
          outcomes.push(
            await (await agent.start({ command: agent.node, arguments: connect(port), network })).outcome,
          );
        }
        expect(outcomes[0]).toMatchObject({ exit: { kind: 'exited', code: 0 } });
        if (setting.method === 'uid')
          expect(outcomes[1]).toMatchObject({ event: 'refused', code: 'LAUNCH_REFUSED' });
        else expect(outcomes[1]).toMatchObject({ exit: { kind: 'exited', code: 9 } });
      } finally {
        await new Promise((closed) => server.close(closed));
      }
    });
  });
});

describe.each(settings(['bubblewrap', 'unshare']))('$name', (setting) => {
  const agentOf = useAgent(setting);
  let agent: AgentProcess;
  beforeEach(() => {
    agent = agentOf();
  });

  it('a job sees its own processes only', async () => {
    const outcome = await agent.runShell('for p in /proc/[0-9]*; do echo ${p#/proc/}; done');
    expect(outcome.stdout.trim().split('\n').length).toBeLessThan(6);
  });

  it('a job has a /tmp and a /dev/shm of its own, bounded', async () => {
    const marker = `co-pilot-private-${process.pid}`;
    const outcome = await agent.runShell(
      `echo x >/tmp/${marker} && echo x >/dev/shm/${marker} && head -c 200m /dev/zero >/tmp/big`,
      {
        limits: { memoryMiB: 128 },
      },
    );
    expect(outcome.exit).toMatchObject({ kind: 'exited', code: 1 });
    expect(outcome.stderr).toContain('No space left');
    expect(readdirSync('/tmp')).not.toContain(marker);
    expect(readdirSync('/dev/shm')).not.toContain(marker);
  });

  it('a job sees few files of /etc and none that hold secrets', async () => {
    const outcome = await agent.runShell(
      'ls /etc; cat /etc/shadow /etc/sudoers; ls /root /home /var; exit 0',
    );
    const entries = outcome.stdout.split('\n');
    for (const name of ['shadow', 'sudoers', 'ssh', 'machine-id', 'fstab'])
      expect(entries).not.toContain(name);
    expect(entries).toContain('passwd');
  });

  it('a job is shown a tree below a private directory, and nothing beside it', async () => {
    const home = join(agent.base, 'agent', 'home');
    await mkdir(join(home, 'tree'), { recursive: true });
    await writeFile(join(home, 'tree', 'file'), 'shown');
    await writeFile(join(home, 'private'), secrets.key);
    for (const path of [home, join(home, 'tree'), join(home, 'tree', 'file')]) await agent.giveToAgent(path);
    await chmod(home, 0o700);
    const outcome = await agent.runShell(`cat ${home}/tree/file; ls ${home}`, {
      readOnly: [join(home, 'tree')],
    });
    expect(outcome.stdout).toBe('showntree\n');
  });

  it('a job can make no user namespace', async () => {
    const outcome = await agent.runShell('unshare --user true; unshare --user --map-root-user id; exit 0');
    expect(outcome.stdout).toBe('');
  });

  it('a job can write no part of /proc/sys and no sysrq', async () => {
    const outcome = await agent.runShell(
      'for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger; do [ -w $f ] && echo could write $f; done; exit 0',
    );
    expect(outcome.stdout).toBe('');
  });
});

describe.each(settings(['bubblewrap', 'unshare', 'uid']).filter((setting) => setting.user === 'root'))(
  '$name',
  (setting) => {
    const agentOf = useAgent(setting);

    it('gives no file away that has another name elsewhere', async () => {
      const agent = agentOf();
      const directory = await agent.makeDirectory('linked');
      linkSync(agent.ledger, join(directory, 'link'));
      const job = await agent.startShell('cat link', { workDirectory: directory });
      const reason = expect.stringContaining('more than one link');
      expect(await job.outcome).toMatchObject({ exit: { kind: 'not-started', reason }, stdout: '' });
      expect(statSync(agent.ledger)).toMatchObject({ uid: 0 });
    });
  },
);
