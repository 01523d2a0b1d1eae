import { type ChildProcess, spawn } from 'node:child_process';
import { SubjectUnavailable } from '../case.ts';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** An agent as a process. */
export interface Program {
  /** Undefined while it runs. */
  readonly ended: Ended | undefined;
  /** The end of what it wrote to standard output and standard error. */
  readonly output: string;
  signal(name: NodeJS.Signals): void;
  /** Ends it and what it started, as far as they are one group, and waits for it. */
  kill(): Promise<void>;
}

const MAX_OUTPUT_CHARACTERS = 256 * 1024;

/** A value the suite puts into the agent's environment, which no job of it may see. */
const CANARY_NAME = 'COPILOT_CONFORMANCE_CANARY';
export const CANARY = 'not-for-jobs';

/** Rejects with `SubjectUnavailable` where there is no such program. */
export async function startProgram(words: readonly string[], directory: string): Promise<Program> {
  const [command = '', ...args] = words;
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, [CANARY_NAME]: CANARY, COPILOT_CONFORMANCE_DIRECTORY: directory },
  });
  let output = '';
  let ended: Ended | undefined;
  const take = (chunk: string): void => {
    output = (output + chunk).slice(-MAX_OUTPUT_CHARACTERS);
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  const over = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      ended = { code, signal };
      resolve();
    });
  });
  await begun(child, command);
  return {
    get ended() {
      return ended;
    },
    get output() {
      return output;
    },
    signal(name) {
      child.kill(name);
    },
    async kill() {
      killGroup(child);
      await over;
    },
  };
}

function begun(child: ChildProcess, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => {
      reject(new SubjectUnavailable(`${command} cannot be started: ${cause.message}`, { cause }));
    });
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The whole group has ended.
  }
}
