import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { TestContext } from 'vitest';
import { changesBelow, isSent, TRACED_CALLS, type TracedChange } from './file-change.ts';
import { createPowerCutDisk, type PowerCutDisk, type Tree } from './power-cut.ts';
import { readTrace, type SystemCall } from './trace-line.ts';
import { differences, readTree } from './tree.ts';

export interface TracedProgramOptions {
  /** A program that speaks over IPC and ends when told. */
  readonly script: URL;
  readonly arguments: readonly string[];
  /** Where its files lie; an absolute path without links, there already. */
  readonly root: string;
  /** Where the trace goes; not below the root. */
  readonly traceFile: string;
  /** The tracer, where it is not the one on the path. */
  readonly strace?: string;
}

/** A program that runs under strace. */
export interface TracedProgram {
  readonly child: ChildProcess;
  /** The next message it sends; rejects where it ends first. */
  message(): Promise<unknown>;
  /** Waits for its end. */
  ended(): Promise<void>;
  /** Waits for its end and reads what it did. Rejects where the trace is none, or does not explain what lies on the disk. */
  trace(): Promise<Trace>;
}

/** What a program did to its files, and when it spoke. */
export interface Trace {
  /** The number of its last line. */
  readonly end: number;
  readonly changes: readonly TracedChange[];
  /** The line at which the last thing was sent that could be heard at this wall time. */
  sentBefore(atMs: number): number;
  /** A new disk, at the beginning. */
  disk(): PowerCutDisk;
}

/** More than any single write. */
const MAX_STRING = 64 * 1024 * 1024;

/** Leaves the test out where there is no strace, but in CI: there a run that cannot be traced fails. */
export function requireStrace({ skip }: Pick<TestContext, 'skip'>): void {
  const isThere = spawnSync('strace', ['-V'], { stdio: 'ignore' }).error === undefined;
  if (!isThere && process.env['CI'] !== 'true') skip('strace is not installed');
}

export async function startTraced(options: TracedProgramOptions): Promise<TracedProgram> {
  const base = await readTree(options.root);
  const strace = [
    ...['-f', '-y', '-ttt', '-xx', '--seccomp-bpf', '-s', String(MAX_STRING)],
    ...['-o', options.traceFile, '-e', `trace=${TRACED_CALLS.join(',')}`, '--', process.execPath],
  ];
  const child = fork(options.script, [...options.arguments], {
    execPath: options.strace ?? 'strace',
    execArgv: strace,
    // What goes through a ring in shared memory is in no trace.
    env: { ...process.env, UV_USE_IO_URING: '0' },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  const noTrace = (why: string, cause?: unknown): Error =>
    new Error(`no trace of ${options.script.pathname}: ${why} ${complaint}`.trim(), { cause });
  const ended = new Promise<string>((resolve, reject) => {
    child.once('exit', (code, signal) => resolve(String(signal ?? code)));
    child.once('error', (cause) => reject(noTrace('strace did not start', cause)));
  });
  ended.catch(() => undefined); // whoever waits for it hears of it

  return {
    child,
    async message() {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      child.once('message', resolve);
      try {
        return await Promise.race([
          promise,
          ended.then((how) => Promise.reject(noTrace(`it ended (${how})`))),
        ]);
      } finally {
        child.off('message', resolve);
      }
    },
    async ended() {
      await ended;
    },
    async trace() {
      const how = await ended;
      if (how !== '0') throw noTrace(`it ended (${how})`);
      const calls = readTrace(await readFile(options.traceFile, 'latin1'));
      const trace = traceOf(calls, options.root, base);
      const fault = traceFault(trace, await readTree(options.root));
      if (fault !== undefined) throw noTrace(fault);
      return trace;
    },
  };
}

function traceOf(calls: readonly SystemCall[], root: string, base: Tree): Trace {
  const changes = changesBelow(calls, root);
  const sent = calls.filter(isSent);
  const end = Math.max(0, ...calls.map((call) => call.end ?? call.start));
  return {
    end,
    changes,
    sentBefore: (atMs) => sent.findLast((call) => call.atMs <= atMs)?.start ?? 0,
    disk: () => createPowerCutDisk(root, base, changes),
  };
}

/** Why a trace shows nothing, if so: it does not lead to what lies on the disk, or nothing was ever synced. */
function traceFault(trace: Trace, found: Tree): string | undefined {
  const disk = trace.disk();
  disk.runTo(trace.end);
  const unexplained = differences(disk.live(), found);
  if (unexplained.length > 0) return `it does not explain ${unexplained.join(', ')}`;
  const isSynced = trace.changes.some(({ change }) => change.kind === 'sync');
  return isSynced ? undefined : 'it holds no sync';
}

/** Now, on the clock of traces; never early. */
export function heardMs(): number {
  return Date.now() + 1;
}
