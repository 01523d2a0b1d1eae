import type { Cancel, Clock } from '../../protocol/runtime/runtime.ts';
import { checkSpec } from './launch-spec.ts';
import type { Ending, Exit, JobSignal, Launcher, LaunchSpec, Running, Usage } from './launcher.ts';

/** What a scripted job does: `afterMs` after its launch it ends so, unless a signal or the wall limit comes first. */
export interface ScriptedJob {
  readonly afterMs: number;
  readonly ending: Ending;
  readonly usage?: Partial<Usage>;
  /** Goes on after SIGTERM, as a program with a handler does. */
  readonly ignoresTerm?: boolean;
}

/** The launcher port without processes: outcomes come from a script, time from the clock. */
export interface MemoryLauncher extends Launcher {
  readonly running: number;
  /** The agent process dies: its jobs die with it, and nobody hears of their end. */
  crash(): void;
}

const graceMs = 5_000;
const firstPid = 1_000;

interface Job {
  readonly running: Running;
  drop(): void;
}

function createJob(clock: Clock, pid: number, spec: LaunchSpec, script: ScriptedJob, onEnd: () => void): Job {
  const startedMs = clock.monotonicMs();
  const { promise, resolve } = Promise.withResolvers<Exit>();
  const timers: Cancel[] = [];
  let open = true;
  let final: Usage | undefined;
  const usage = (): Usage => final ?? usageNow();
  const usageNow = (): Usage => ({
    cpuSeconds: 0,
    memoryMiB: 0,
    diskMiB: 0,
    ...script.usage,
    wallSeconds: (clock.monotonicMs() - startedMs) / 1000,
  });
  const drop = (): void => {
    open = false;
    for (const cancel of timers) cancel();
  };
  const end = (ending: Ending): void => {
    if (!open) return;
    drop();
    onEnd();
    final = usageNow();
    resolve({ ...ending, usage: final });
  };
  const overrun = (): void => {
    if (script.ignoresTerm) timers.push(clock.schedule(graceMs, () => end({ kind: 'limit', limit: 'wall' })));
    else end({ kind: 'limit', limit: 'wall' });
  };
  const signal = (name: JobSignal): void => {
    if (name === 'SIGSTOP' || name === 'SIGCONT') return;
    if (name === 'SIGKILL' || !script.ignoresTerm) end({ kind: 'signalled', signal: name });
  };
  timers.push(clock.schedule(script.afterMs, () => end(script.ending)));
  timers.push(clock.schedule(spec.limits.wallSeconds * 1000, overrun));
  return { running: { pid, exited: promise, signal, usage, holdsSocket: () => open }, drop };
}

/** Launches what `script` says for each spec. Deterministic given the clock; specs are checked as the real launcher checks them. */
export function createMemoryLauncher(options: {
  readonly clock: Clock;
  readonly script: (spec: LaunchSpec) => ScriptedJob;
}): MemoryLauncher {
  const jobs = new Map<number, Job>();
  let nextPid = firstPid;
  return {
    get running() {
      return jobs.size;
    },
    launch(spec) {
      checkSpec(spec);
      const pid = nextPid++;
      const job = createJob(options.clock, pid, spec, options.script(spec), () => jobs.delete(pid));
      jobs.set(pid, job);
      return job.running;
    },
    crash() {
      for (const job of jobs.values()) job.drop();
      jobs.clear();
    },
  };
}
