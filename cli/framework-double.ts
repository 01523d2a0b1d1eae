import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CoPilotError } from '../protocol/errors.ts';
import { type ChildProgram, type Line, startChild } from './child-program.ts';
import { FRAMEWORK_KINDS } from './framework-kinds.ts';

/** A job as its framework shows it. */
export interface FrameworkJob {
  readonly id: string;
  /** The framework's own word. */
  readonly state: string;
  /** It is the job's last state. */
  readonly final: boolean;
  readonly ok: boolean;
}

/** A framework that is made for this machine: the double of a kind, as three programs (docs/adapter-author.md). */
export interface FrameworkDouble {
  readonly url: string;
  /** Settings of `frameworks.NAME` that lead to what it made, such as `tokenFile`. */
  readonly files: Readonly<Record<string, unknown>>;
  /** The framework's name of the queue that jobs come from. */
  readonly queue: string;
  readonly options: unknown;
  /** Submits jobs by the framework's own way; answers their ids. */
  submit(jobs: number): Promise<readonly string[]>;
  jobs(): Promise<readonly FrameworkJob[]>;
  stop(): Promise<void>;
}

const ROOT = dirname(import.meta.dirname);
const READY_MS = 60_000;
const ANSWER_MS = 60_000;
const STOP_MS = 10_000;
const MAX_ANSWER = 16 * 1024 * 1024;
const run = promisify(execFile);

/** Rejects with `INVALID_REQUEST` for a kind that there is not, `UNSUPPORTED` where this program came without its double. */
export async function startFrameworkDouble(kind: string, directory: string): Promise<FrameworkDouble> {
  if (!Object.hasOwn(FRAMEWORK_KINDS, kind))
    throw new CoPilotError(
      'INVALID_REQUEST',
      `--framework is one of ${Object.keys(FRAMEWORK_KINDS).join(', ')}, not ${kind}`,
    );
  const place = join(ROOT, 'test/doubles', kind);
  if (!existsSync(join(place, 'main.ts')))
    throw new CoPilotError('UNSUPPORTED', `the stand-in for ${kind} is not here; it comes with the sources`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { program, ready } = await startProgram(kind, place, directory);
  const { url, files = {}, queue = 'main', options = {} } = ready;
  const ask = async (name: string, ...args: readonly string[]): Promise<Line> => {
    const words = [join(place, name), '--url', String(url), '--directory', directory, ...args];
    const { stdout } = await run(process.execPath, words, { timeout: ANSWER_MS, maxBuffer: MAX_ANSWER });
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Line; // a program of ours, by its contract
  };
  return {
    url: String(url),
    files: files as FrameworkDouble['files'],
    queue: String(queue),
    options,
    submit: async (jobs) =>
      (await ask('submit.ts', '--jobs', String(jobs)))['submitted'] as readonly string[],
    jobs: async () => (await ask('state.ts'))['jobs'] as readonly FrameworkJob[],
    stop: () => program.stop(STOP_MS),
  };
}

async function startProgram(
  kind: string,
  place: string,
  directory: string,
): Promise<{ readonly program: ChildProgram; readonly ready: Line }> {
  const log = await open(join(directory, 'log'), 'a', 0o600);
  const args = [join(place, 'main.ts'), '--directory', directory];
  // In a session of its own: Ctrl-C reaches us alone, and it is there until everything else has ended.
  const command = { name: kind, file: process.execPath, args, stderr: log.fd, detached: true };
  const program = startChild(command, () => undefined);
  await log.close();
  try {
    return { program, ready: await program.line((line) => line['event'] === 'ready', READY_MS) };
  } catch (caught) {
    await program.stop(STOP_MS);
    throw caught;
  }
}
