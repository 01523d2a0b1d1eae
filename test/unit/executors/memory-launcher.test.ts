import { describe, expect, it } from 'vitest';
import type { Exit, LaunchSpec } from '../../../agent/executors/launcher.ts';
import { createMemoryLauncher, type ScriptedJob } from '../../../agent/executors/memory-launcher.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const spec: LaunchSpec = {
  command: 'generator',
  arguments: [],
  environment: {},
  workDirectory: '/jobs/1',
  readOnly: [],
  stdoutFile: '/jobs/1.out',
  stderrFile: '/jobs/1.err',
  limits: { wallSeconds: 60, memoryMiB: 100, diskMiB: 100, files: 10, processes: 10 },
  network: 'none',
};

function stage(script: ScriptedJob) {
  const clock = createManualClock();
  const launcher = createMemoryLauncher({ clock, script: () => script });
  const running = launcher.launch(spec);
  let exit: Exit | undefined;
  void running.exited.then((value) => {
    exit = value;
  });
  return { clock, launcher, running, exit: () => exit };
}

const done: ScriptedJob = { afterMs: 5_000, ending: { kind: 'exited', code: 0 }, usage: { memoryMiB: 30 } };

describe('the launcher without processes', () => {
  it('ends a job as and when its script says, with its usage', async () => {
    const { clock, launcher, exit } = stage(done);
    await clock.run(4_999);
    expect([exit(), launcher.running]).toEqual([undefined, 1]);
    await clock.run(1);
    expect(exit()).toEqual({
      kind: 'exited',
      code: 0,
      usage: { wallSeconds: 5, cpuSeconds: 0, memoryMiB: 30, diskMiB: 0 },
    });
    expect([launcher.running, clock.pending()]).toEqual([0, 0]);
  });

  it('holds the wall limit, 5 s later for a job deaf to SIGTERM', async () => {
    const polite = stage({ ...done, afterMs: 1e6 });
    await polite.clock.run(60_000);
    expect(polite.exit()).toMatchObject({ kind: 'limit', limit: 'wall', usage: { wallSeconds: 60 } });
    const deaf = stage({ ...done, afterMs: 1e6, ignoresTerm: true });
    await deaf.clock.run(64_999);
    expect(deaf.exit()).toBeUndefined();
    await deaf.clock.run(1);
    expect(deaf.exit()).toMatchObject({ kind: 'limit', limit: 'wall', usage: { wallSeconds: 65 } });
  });

  it('passes signals on', async () => {
    const { clock, running, exit } = stage({ ...done, ignoresTerm: true });
    running.signal('SIGTERM');
    running.signal('SIGSTOP');
    await clock.run(1_000);
    expect(exit()).toBeUndefined();
    running.signal('SIGKILL');
    running.signal('SIGKILL');
    await clock.run(0);
    expect(exit()).toMatchObject({ kind: 'signalled', signal: 'SIGKILL', usage: { wallSeconds: 1 } });
  });

  it('forgets its jobs in a crash, and nobody hears of them', async () => {
    const { clock, launcher, running, exit } = stage(done);
    launcher.crash();
    running.signal('SIGKILL');
    await clock.run(100_000);
    expect([exit(), launcher.running, clock.pending()]).toEqual([undefined, 0, 0]);
  });

  it('refuses what the real launcher refuses', () => {
    const launcher = createMemoryLauncher({ clock: createManualClock(), script: () => done });
    expect(() => launcher.launch({ ...spec, command: '' })).toThrow(
      expect.objectContaining({ code: 'LAUNCH_REFUSED' }),
    );
    expect(launcher.running).toBe(0);
  });
});
