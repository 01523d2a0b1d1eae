import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { coverInherited } from '../agent/executors/index.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { lineReader } from './line-reader.ts';

/** How to start one program of ours. */
export interface ChildCommand {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly detached?: boolean;
  /** Descriptor its standard error goes to. */
  readonly stderr: number;
}

/** A program of ours that runs beside us and says in lines of JSON what it does. */
export interface ChildProgram {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly isRunning: boolean;
  /** Resolves with the first line that matches; rejects with `UNREACHABLE` where it ends before, `TIMEOUT` after `deadlineMs`. */
  line(matches: (line: Line) => boolean, deadlineMs: number): Promise<Line>;
  signal(signal: NodeJS.Signals): void;
  /** Tells it that we are gone. */
  closeInput(): void;
  /** Whether it ended by itself within that time. */
  exitsWithin(ms: number): Promise<boolean>;
  /** Asks it to end, and ends it where it does not within `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export type Line = Readonly<Record<string, unknown>>;

/** Standard input stays open as long as we live: a program of ours ends when it closes, so none outlives us. */
export function startChild(command: ChildCommand, onLine: (line: Line) => void): ChildProgram {
  // What was open when we were started is nobody's business below us, an agent's least of all.
  const nowhere = openSync('/dev/null', 'r');
  const child = spawn(command.file, [...command.args], {
    stdio: coverInherited<'pipe' | number>(['pipe', 'pipe', command.stderr], nowhere),
    ...(command.env && { env: command.env }),
    ...(command.cwd !== undefined && { cwd: command.cwd }),
    ...(command.detached !== undefined && { detached: command.detached }),
  });
  closeSync(nowhere);
  const listeners = new Set<(line: Line) => void>([onLine]);
  readLines(child, (line) => {
    for (const listener of [...listeners]) listener(line);
  });
  let isRunning = true;
  const exited = exitOf(child).finally(() => {
    isRunning = false;
  });
  return {
    name: command.name,
    pid: child.pid ?? 0,
    exited,
    get isRunning() {
      return isRunning;
    },
    line: (matches, deadlineMs) => awaitLine(command.name, listeners, exited, matches, deadlineMs),
    signal: (signal) => void child.kill(signal),
    closeInput: () => child.stdin?.end(),
    exitsWithin: (ms) => within(exited, ms),
    async stop(graceMs) {
      if (!isRunning) return;
      child.kill('SIGTERM');
      if (!(await within(exited, graceMs))) child.kill('SIGKILL');
      await exited;
    },
  };
}

function readLines(child: ChildProcess, onLine: (line: Line) => void): void {
  child.stdin?.on('error', () => undefined); // it ended: `exited` says so
  const read = lineReader((text) => {
    const line = parseLine(text);
    if (line !== undefined) onLine(line);
  });
  child.stdout?.setEncoding('utf8').on('data', read);
}

/** Lines that are no JSON object are a person's, not ours. */
function parseLine(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}

async function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  if (child.pid === undefined) {
    const [cause] = (await once(child, 'error')) as [Error];
    throw new CoPilotError('UNREACHABLE', `a program cannot be started: ${cause.message}`, { cause });
  }
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return { code, signal };
}

function awaitLine(
  name: string,
  listeners: Set<(line: Line) => void>,
  exited: ChildProgram['exited'],
  matches: (line: Line) => boolean,
  deadlineMs: number,
): Promise<Line> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      listeners.delete(listen);
      act();
    };
    const listen = (line: Line): void => {
      if (matches(line)) settle(() => resolve(line));
    };
    const timer = setTimeout(
      () =>
        settle(() =>
          reject(new CoPilotError('TIMEOUT', `${name} did not get ready within ${deadlineMs} ms`)),
        ),
      deadlineMs,
    );
    listeners.add(listen);
    exited.then(
      ({ code, signal }) =>
        settle(() =>
          reject(new CoPilotError('UNREACHABLE', `${name} ended with ${signal ?? `code ${code}`}`)),
        ),
      (caught: unknown) => settle(() => reject(caught instanceof Error ? caught : new Error(String(caught)))),
    );
  });
}

async function within(exited: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const isGone = await Promise.race([exited.then(() => true as const), late]);
  clearTimeout(timer);
  return isGone;
}
