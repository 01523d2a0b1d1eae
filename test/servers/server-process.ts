import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { descendants, listProcesses } from '../../agent/executors/process-table.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';

export interface ServerCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Where it leaves what it says when it dies; the folder of the tests where it is left out. */
  readonly directory?: string;
  /** User to run as, where the server refuses to be root. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Whether it serves by now; asked again and again. */
  readonly isReady: () => Promise<boolean>;
  readonly stopSignal?: NodeJS.Signals;
}

/** A real server that runs for a test or a benchmark alone. */
export interface ServerProcess {
  readonly pid: number;
  /** Ends it, by its process id, and waits for it. */
  stop(): Promise<void>;
}

const READY_MS = 60_000;
const STOP_MS = 20_000;
const KEPT_OUTPUT = 4_000;

/** Starts a server and waits until it serves; fails with the end of what it said where it does not. */
export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  const child = spawn(command.file, command.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...command.env },
    ...(command.directory !== undefined && { cwd: command.directory }),
    ...(command.user !== undefined && command.user),
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const output = tail(child);
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${command.file} ended with ${code}: ${output()}`)));
  });
  failed.catch(() => undefined); // once it is ready, its end is the business of `stop`
  try {
    await Promise.race([failed, eventuallyTrue(`${command.file} to serve`, command.isReady, READY_MS)]);
  } catch (caught) {
    killWhole(child);
    throw caught;
  }
  return {
    pid: child.pid ?? 0,
    async stop() {
      child.kill(command.stopSignal ?? 'SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Some servers are begun by a script that stays their parent. */
function killWhole(child: ChildProcess): void {
  const whole = child.pid === undefined ? [] : descendants(child.pid, listProcesses());
  for (const { pid } of whole) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it has ended meanwhile
    }
  }
}

/** The program in one of the folders, or on the path; undefined where it is not installed. */
function findProgram(name: string, folders: readonly string[] = []): string | undefined {
  const path = (process.env['PATH'] ?? '').split(delimiter);
  return [...folders, ...path].map((folder) => join(folder, name)).find((file) => existsSync(file));
}

export function isInstalled(name: string, folders?: readonly string[]): boolean {
  return findProgram(name, folders) !== undefined;
}

/** What an installed program is worth to its caller: its path, or an error that says how to get it. */
export function needProgram(name: string, debianPackage: string, folders: readonly string[] = []): string {
  const found = findProgram(name, folders);
  if (found === undefined) throw new Error(`${name} is not installed: apt-get install ${debianPackage}`);
  return found;
}

function tail(child: ChildProcess): () => string {
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-KEPT_OUTPUT);
    });
  return () => output.trim();
}
