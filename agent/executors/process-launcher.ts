import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Cancel, Clock } from '../../protocol/runtime/runtime.ts';
import { measureDisk } from './disk-usage.ts';
import { coverInherited } from './inherited-descriptors.ts';
import { isRoot, jailCommand, type JailSpec } from './jail-command.ts';
import { createJobProcesses, type JobProcesses } from './job-processes.ts';
import type {
  Ending,
  Exit,
  IsolationMethod,
  JobSignal,
  Launcher,
  LaunchSpec,
  LimitName,
  Running,
  Usage,
} from './launcher.ts';
import { openOutputFile, type OutputFile } from './output-file.ts';
import { createUidPool, type UidPool, type UidRange } from './uid-pool.ts';

const firstSampleMs = 100;
const sampleMs = 500;
const diskSampleMs = 1_000;
/** A walk of the disk takes at most this share of the time. */
const diskShare = 0.1;
const graceMs = 5_000;
const killRepeatMs = 200;
const survivorCheckMs = 20;
const survivorDeadlineMs = 10_000;
const maxReasonLength = 2_000;
const startedLine = 'started\n';
const lowestSignalCode = 129;
const highestSignalCode = 192;

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
/** Signals by which the kernel enforces limits we set. */
const limitSignals: Readonly<Record<string, LimitName>> = { SIGXCPU: 'cpu', SIGXFSZ: 'disk' };

/** What the outermost process told: layers pass a signal on as 128 and its number, as shells do. */
export function decodeEnding(code: number | null, signal: string | null): Ending {
  const passedOn = code !== null && code >= lowestSignalCode && code <= highestSignalCode;
  const name = signal ?? (passedOn ? (signalNames.get(code - 128) ?? `signal ${code - 128}`) : undefined);
  if (name === undefined) return { kind: 'exited', code: code ?? 0 };
  const limit = limitSignals[name];
  return limit === undefined ? { kind: 'signalled', signal: name } : { kind: 'limit', limit };
}

/** Takes what the layers say while the jail is built; bounded. */
class SetupReport {
  #text = '';
  add(chunk: string): void {
    if (this.#text.length < maxReasonLength) this.#text = (this.#text + chunk).slice(0, maxReasonLength);
  }
  get hasStarted(): boolean {
    return this.#text.startsWith(startedLine) || this.#text.includes(`\n${startedLine}`);
  }
  get reason(): string {
    return this.#text.trim();
  }
}

interface Parts {
  readonly clock: Clock;
  readonly spec: LaunchSpec;
  readonly child: ChildProcess;
  readonly processes: JobProcesses;
  readonly outputs: readonly OutputFile[];
  readonly onEnd: () => void;
}

/** One job from its start until nothing of it is left. */
class Job implements Running {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #parts: Parts;
  readonly #report = new SetupReport();
  readonly #resolve: (exit: Exit) => void;
  readonly #timers = new Set<Cancel>();
  readonly #startedMs: number;
  #usage: Usage = { wallSeconds: 0, cpuSeconds: 0, memoryMiB: 0, diskMiB: 0 };
  #breach: LimitName | undefined;
  #isKilled = false;
  #state: 'running' | 'ending' | 'ended' = 'running';

  constructor(parts: Parts) {
    this.#parts = parts;
    this.pid = parts.child.pid ?? 0;
    this.#startedMs = parts.clock.monotonicMs();
    const { promise, resolve } = Promise.withResolvers<Exit>();
    this.exited = promise;
    this.#resolve = resolve;
    this.#watch();
  }

  signal(name: JobSignal): void {
    if (this.#state !== 'running') return;
    if (name === 'SIGKILL') this.#kill();
    else this.#parts.processes.signal(name);
  }

  usage(): Usage {
    if (this.#state === 'ended') return this.#usage;
    return { ...this.#usage, wallSeconds: (this.#parts.clock.monotonicMs() - this.#startedMs) / 1000 };
  }

  holdsSocket(inode: number): boolean {
    return this.#state === 'running' && this.#parts.processes.holdsSocket(inode);
  }

  #watch(): void {
    const { child, spec } = this.#parts;
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => this.#report.add(chunk));
    child.once('error', (error) => {
      this.#report.add(error.message);
      if (child.pid === undefined) void this.#finish({ kind: 'not-started', reason: this.#report.reason });
    });
    child.once('exit', (code, signal) => void this.#finish(decodeEnding(code, signal)));
    if (child.pid === undefined) return;
    this.#after(spec.limits.wallSeconds * 1000, () => this.#end('wall'));
    this.#after(firstSampleMs, () => this.#sample());
    this.#after(diskSampleMs, () => void this.#sampleDisk());
  }

  #after(delayMs: number, action: () => void): void {
    const cancel = this.#parts.clock.schedule(delayMs, () => {
      this.#timers.delete(cancel);
      action();
    });
    this.#timers.add(cancel);
  }

  #cancelTimers(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #sample(): void {
    const { spec, processes, outputs } = this.#parts;
    const now = processes.measure(spec.limits.memoryMiB);
    this.#raise({ cpuSeconds: now.cpuSeconds, memoryMiB: now.memoryMiB });
    if (now.memoryMiB > spec.limits.memoryMiB) this.#end('memory');
    else if (now.cpuSeconds > (spec.limits.cpuSeconds ?? Number.POSITIVE_INFINITY)) this.#end('cpu');
    else if (outputs.some((output) => output.sizeMiB() > this.#outputMiB)) this.#end('disk');
    this.#after(sampleMs, () => this.#sample());
  }

  async #sampleDisk(): Promise<void> {
    const beganMs = this.#parts.clock.monotonicMs();
    const breach = await this.#measureDisk(this.#parts.processes.unnamedMiB());
    if (this.#state !== 'running') return;
    if (breach !== undefined) this.#end(breach);
    const tookMs = this.#parts.clock.monotonicMs() - beganMs;
    this.#after(Math.max(diskSampleMs, tookMs / diskShare), () => void this.#sampleDisk());
  }

  async #measureDisk(unnamedMiB: number): Promise<LimitName | undefined> {
    const { spec } = this.#parts;
    const disk = await measureDisk(spec.workDirectory, spec.limits.files);
    this.#raise({ diskMiB: disk.mebibytes + unnamedMiB });
    if (disk.mebibytes + unnamedMiB > spec.limits.diskMiB) return 'disk';
    return disk.entries > spec.limits.files || !disk.isComplete ? 'files' : undefined;
  }

  #raise(seen: Partial<Usage>): void {
    this.#usage = {
      ...this.#usage,
      cpuSeconds: Math.max(this.#usage.cpuSeconds, seen.cpuSeconds ?? 0),
      memoryMiB: Math.max(this.#usage.memoryMiB, seen.memoryMiB ?? 0),
      diskMiB: Math.max(this.#usage.diskMiB, seen.diskMiB ?? 0),
    };
  }

  get #outputMiB(): number {
    const { limits } = this.#parts.spec;
    return limits.outputMiB ?? limits.diskMiB;
  }

  #end(limit: LimitName): void {
    if (this.#state !== 'running' || this.#breach !== undefined) return;
    this.#breach = limit;
    this.#parts.processes.signal('SIGTERM');
    // A stopped process takes no notice of SIGTERM until it goes on.
    this.#parts.processes.signal('SIGCONT');
    this.#after(graceMs, () => this.#kill());
  }

  #kill(): void {
    this.#isKilled = true;
    this.#parts.processes.kill();
    this.#after(killRepeatMs, () => this.#kill());
  }

  async #finish(ending: Ending): Promise<void> {
    if (this.#state !== 'running') return;
    this.#state = 'ending';
    this.#cancelTimers();
    await this.#endSurvivors();
    await this.#reportClosed();
    const late = await this.#lastLook();
    for (const output of this.#parts.outputs) output.finish(this.#outputMiB);
    this.#usage = this.usage();
    this.#state = 'ended';
    this.#parts.onEnd();
    this.#resolve({ ...this.#judge(ending, late), usage: this.#usage });
  }

  #judge(ending: Ending, late: LimitName | undefined): Ending {
    if (this.#breach !== undefined) return { kind: 'limit', limit: this.#breach };
    if (ending.kind === 'not-started') return ending;
    if (!this.#report.hasStarted && ending.kind !== 'limit') {
      return {
        kind: 'not-started',
        reason: this.#report.reason || `the isolation ended at once: ${describe(ending)}`,
      };
    }
    // Not every layer passes on how the one inside it was ended.
    if (this.#isKilled) return { kind: 'signalled', signal: 'SIGKILL' };
    return late === undefined ? ending : { kind: 'limit', limit: late };
  }

  /** A short job may pass its limits between two samples; what it left behind still counts. */
  async #lastLook(): Promise<LimitName | undefined> {
    const breach = await this.#measureDisk(0);
    return this.#parts.outputs.some((output) => output.sizeMiB() > this.#outputMiB) ? 'disk' : breach;
  }

  async #endSurvivors(): Promise<void> {
    const { clock, processes, child } = this.#parts;
    if (child.pid === undefined) return;
    const deadlineMs = clock.monotonicMs() + survivorDeadlineMs;
    while (processes.anyLeft() && clock.monotonicMs() < deadlineMs) {
      processes.kill();
      await this.#pause(survivorCheckMs);
    }
  }

  async #reportClosed(): Promise<void> {
    const stream = this.#parts.child.stderr;
    if (stream === null || stream.closed) return;
    const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
    await Promise.race([closed, this.#pause(survivorDeadlineMs)]);
    this.#cancelTimers();
    stream.destroy();
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#after(delayMs, resolve));
  }
}

const describe = (ending: Ending): string => (ending.kind === 'exited' ? `code ${ending.code}` : ending.kind);

function openOutputs(spec: LaunchSpec, uid: number | undefined): OutputFile[] {
  const first = openOutputFile(spec.stdoutFile, uid);
  try {
    return [first, openOutputFile(spec.stderrFile, uid)];
  } catch (caught) {
    first.finish(0);
    throw caught;
  }
}

function spawnJailed(method: IsolationMethod, jail: JailSpec, outputs: readonly OutputFile[]): ChildProcess {
  const command = jailCommand(method, jail);
  const nothing = openSync('/dev/null', 'r+');
  try {
    const [stdout, stderr] = outputs.map((output) => output.descriptor);
    const stdio = coverInherited([nothing, stdout ?? nothing, 'pipe' as const, stderr ?? nothing], nothing);
    return spawn(command.file, command.args, { ...command.options, stdio });
  } finally {
    closeSync(nothing);
  }
}

export interface ProcessLauncherOptions {
  readonly clock: Clock;
  /** Where we are root: uids for jobs, which nothing else on the machine may use. */
  readonly uids?: UidRange;
}

/**
 * Runs jobs as real processes by `method`, which `detectIsolation` should have found to work. Linux only, but for `none`. Call it on
 * the main thread: jobs end with the thread that starts them.
 */
export function createProcessLauncher(method: IsolationMethod, options: ProcessLauncherOptions): Launcher {
  const pool: UidPool | undefined = isRoot() && method !== 'none' ? createUidPool(options.uids) : undefined;
  return {
    launch(spec) {
      const uid = pool?.take();
      let outputs: OutputFile[] = [];
      const onEnd = (): void => {
        if (uid !== undefined) pool?.giveBack(uid);
      };
      try {
        outputs = openOutputs(spec, uid);
        const jail: JailSpec = {
          ...spec,
          nesting: false,
          descriptors: 'report',
          ...(uid !== undefined && { uid }),
        };
        const child = spawnJailed(method, jail, outputs);
        const processes = createJobProcesses(method, child.pid, uid);
        return new Job({ clock: options.clock, spec, child, processes, outputs, onEnd });
      } catch (caught) {
        for (const output of outputs) output.finish(Number.MAX_SAFE_INTEGER / 1_048_576);
        onEnd();
        throw toCoPilotError(caught);
      }
    },
  };
}
