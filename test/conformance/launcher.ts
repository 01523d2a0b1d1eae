import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Exit, Launcher, LaunchSpec, Running } from '../../agent/executors/launcher.ts';
import type { ScriptedJob } from '../../agent/executors/memory-launcher.ts';

/** A launcher with a place for its jobs. */
export interface LauncherUnderTest {
  readonly launcher: Launcher;
  /** A new directory of one job; the files for its output lie beside it. */
  place(): Promise<Pick<LaunchSpec, 'workDirectory' | 'stdoutFile' | 'stderrFile'>>;
  /** Until the job of this place says that it is ready. */
  begun(place: Pick<LaunchSpec, 'workDirectory'>): Promise<void>;
  /** Lets time pass until the job has ended. */
  ended(running: Running): Promise<Exit>;
  dispose(): Promise<void>;
}

/** One program, as a shell runs it and as a script without processes plays it. */
interface Program {
  readonly shell: string;
  readonly scripted: ScriptedJob;
}

const FOR_EVER_MS = 300_000;

/** What the jobs of the suite do; an implementation without processes looks them up by `scriptedJob`. */
const PROGRAMS = {
  good: { shell: 'exit 0', scripted: { afterMs: 50, ending: { kind: 'exited', code: 0 } } },
  bad: { shell: 'exit 7', scripted: { afterMs: 50, ending: { kind: 'exited', code: 7 } } },
  crashing: {
    shell: 'kill -SEGV $$',
    scripted: { afterMs: 50, ending: { kind: 'signalled', signal: 'SIGSEGV' } },
  },
  polite: {
    shell: 'touch ready; exec sleep 300',
    scripted: { afterMs: FOR_EVER_MS, ending: { kind: 'exited', code: 0 } },
  },
  deaf: {
    shell: "trap '' TERM; touch ready; while :; do sleep 0.05; done",
    scripted: { afterMs: FOR_EVER_MS, ending: { kind: 'exited', code: 0 }, ignoresTerm: true },
  },
  brief: {
    shell: 'touch ready; sleep 0.5; exit 3',
    scripted: { afterMs: 500, ending: { kind: 'exited', code: 3 } },
  },
} as const satisfies Readonly<Record<string, Program>>;

const limits = { wallSeconds: 60, memoryMiB: 512, diskMiB: 64, files: 100, processes: 64 };

/** What a job of the suite does, for implementations without processes. */
export function scriptedJob(spec: LaunchSpec): ScriptedJob {
  const program = Object.values(PROGRAMS).find(({ shell }) => shell === spec.arguments[1]);
  if (program === undefined) throw new Error('no job of the suite');
  return program.scripted;
}

/** What every launcher promises (agent/executors/launcher.ts). */
export function launcherConformance(create: () => Promise<LauncherUnderTest>): void {
  let subject: LauncherUnderTest;
  const started: Running[] = [];

  beforeEach(async () => {
    subject = await create();
  });
  afterEach(async () => {
    for (const running of started) running.signal('SIGKILL');
    await Promise.all(started.splice(0).map((running) => subject.ended(running)));
    await subject.dispose();
  });

  const specOf = async (
    name: keyof typeof PROGRAMS,
    change: Partial<LaunchSpec> = {},
  ): Promise<LaunchSpec> => ({
    command: '/bin/sh',
    arguments: ['-c', PROGRAMS[name].shell],
    environment: {},
    readOnly: [],
    limits,
    network: 'host',
    ...(await subject.place()),
    ...change,
  });
  const launch = (spec: LaunchSpec): Running => {
    const running = subject.launcher.launch(spec);
    started.push(running);
    return running;
  };
  const begin = async (name: keyof typeof PROGRAMS, change: Partial<LaunchSpec> = {}): Promise<Running> => {
    const spec = await specOf(name, change);
    const running = launch(spec);
    await subject.begun(spec);
    return running;
  };

  it.each([
    ['good', { kind: 'exited', code: 0 }],
    ['bad', { kind: 'exited', code: 7 }],
    ['crashing', { kind: 'signalled', signal: 'SIGSEGV' }],
  ] as const)('a %s program ends as it ended, with what it used', async (name, ending) => {
    const exit = await subject.ended(launch(await specOf(name)));
    expect(exit).toMatchObject(ending);
    for (const amount of Object.values(exit.usage)) expect(amount).toBeGreaterThanOrEqual(0);
    expect(exit.usage.wallSeconds).toBeGreaterThan(0);
  });

  it('an end is said once and stays what it was', async () => {
    const running = launch(await specOf('bad'));
    const exit = await subject.ended(running);
    running.signal('SIGKILL');
    running.signal('SIGTERM');
    expect(await running.exited).toBe(exit);
  });

  it('SIGTERM ends a program that does not listen for it', async () => {
    const running = await begin('polite');
    running.signal('SIGTERM');
    expect(await subject.ended(running)).toMatchObject({ kind: 'signalled', signal: 'SIGTERM' });
  });

  it('SIGKILL ends one that is deaf to SIGTERM', async () => {
    const running = await begin('deaf');
    running.signal('SIGTERM');
    running.signal('SIGKILL');
    running.signal('SIGKILL');
    expect(await subject.ended(running)).toMatchObject({ kind: 'signalled', signal: 'SIGKILL' });
  });

  it('a program that was stopped and continued goes on to its own end', async () => {
    const running = await begin('brief');
    running.signal('SIGSTOP');
    running.signal('SIGCONT');
    expect(await subject.ended(running)).toMatchObject({ kind: 'exited', code: 3 });
  });

  it('the wall limit ends a job, not before its time', async () => {
    const running = await begin('polite', { limits: { ...limits, wallSeconds: 1 } });
    const exit = await subject.ended(running);
    expect(exit).toMatchObject({ kind: 'limit', limit: 'wall' });
    expect(exit.usage.wallSeconds).toBeGreaterThanOrEqual(1);
  });

  it('jobs at once have a process each and end each by itself', async () => {
    const deaf = await begin('deaf');
    const others = [launch(await specOf('good')), launch(await specOf('bad'))];
    expect(new Set([deaf, ...others].map(({ pid }) => pid)).size).toBe(3);
    for (const { pid } of [deaf, ...others]) expect(pid).toBeGreaterThan(1);
    const ends = await Promise.all(others.map((running) => subject.ended(running)));
    expect(ends).toMatchObject([{ code: 0 }, { code: 7 }]);
    const before = deaf.usage().wallSeconds;
    expect(before).toBeGreaterThan(0);
    deaf.signal('SIGKILL');
    expect((await subject.ended(deaf)).usage.wallSeconds).toBeGreaterThanOrEqual(before);
  });

  it('a refused launch takes nothing from the next, however many there were', async () => {
    const spec = await specOf('good');
    for (let times = 0; times < 20; times++)
      expect(() => subject.launcher.launch({ ...spec, command: '' })).toThrow();
    expect(await subject.ended(launch(spec))).toMatchObject({ kind: 'exited', code: 0 });
  });

  it.each<[string, (spec: LaunchSpec) => Partial<LaunchSpec>]>([
    ['an empty command', () => ({ command: '' })],
    ['a command that is an option', () => ({ command: '--help' })],
    ['a command with NUL', () => ({ command: 'a\0b' })],
    ['an argument with NUL', () => ({ arguments: ['a\0b'] })],
    ['arguments without end', () => ({ arguments: ['x'.repeat(70_000)] })],
    ['an environment name that is none', () => ({ environment: { 'A=B': 'c' } })],
    ['a relative work directory', () => ({ workDirectory: 'work' })],
    ['a work directory that climbs', (spec) => ({ workDirectory: `${spec.workDirectory}/../../etc` })],
    ['a work directory in a system tree', () => ({ workDirectory: '/usr/work' })],
    ['a readable path inside the work directory', (spec) => ({ readOnly: [`${spec.workDirectory}/in`] })],
    ['a hidden path inside the work directory', (spec) => ({ hiddenPaths: [spec.workDirectory] })],
    ['no time at all', () => ({ limits: { ...limits, wallSeconds: 0 } })],
    ['a limit that is no number', () => ({ limits: { ...limits, memoryMiB: Number.NaN } })],
    ['a limit without end', () => ({ limits: { ...limits, diskMiB: Number.POSITIVE_INFINITY } })],
  ])('%s is LAUNCH_REFUSED at once', async (_what, wrong) => {
    const spec = await specOf('good');
    expect(() => subject.launcher.launch({ ...spec, ...wrong(spec) })).toThrow(
      expect.objectContaining({ code: 'LAUNCH_REFUSED' }),
    );
  });
}
