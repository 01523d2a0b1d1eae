import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { descendants, listProcesses, type ProcessEntry } from '../../agent/executors/process-table.ts';
import { eventually, eventuallyTrue } from './eventually.ts';

const REPOSITORY = resolve(import.meta.dirname, '../..');

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** How a command ended, and all it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One `co-pilot` that runs, as a person's shell would have it. */
export class RunningCommand {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';

  constructor(args: readonly string[], { env, cwd }: CommandOptions = {}) {
    // A group of its own: a signal of the test never reaches the test itself.
    this.#child = spawn(process.execPath, [join(REPOSITORY, 'co-pilot.ts'), ...args], {
      cwd: cwd ?? REPOSITORY,
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#stdout += chunk.toString();
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    this.ended = once(this.#child, 'exit').then(async ([code, signal]) => {
      // Grandchildren may hold the pipes open; what the command itself said is in them by now.
      await new Promise((soon) => setImmediate(soon));
      return { code, signal, stdout: this.#stdout, stderr: this.#stderr };
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** What Ctrl-C in a terminal does: the signal goes to every process of the group. */
  interrupt(): void {
    process.kill(-this.pid, 'SIGINT');
  }

  /** It and everything below it, now. */
  processes(): readonly ProcessEntry[] {
    return descendants(this.pid, listProcesses());
  }

  /** Resolves with how it ended; fails where it has not within that time. */
  async endsWithin(ms: number): Promise<Ended> {
    let ended: Ended | undefined;
    void this.ended.then((how) => {
      ended = how;
    });
    return eventually('the command to end', () => ended, ms).catch((cause: unknown) => {
      throw new Error(`${this.#stdout}\n${this.#stderr}`, { cause });
    });
  }

  /** Waits until it has said so on either stream; fails at once where it ends before. */
  async says(text: string, withinMs: number): Promise<void> {
    let hasEnded = false;
    void this.ended.then(() => {
      hasEnded = true;
    });
    const isSaid = (): boolean => this.#stdout.includes(text) || this.#stderr.includes(text);
    await eventuallyTrue(`the command to say "${text}"`, () => isSaid() || hasEnded, withinMs).catch(
      (cause: unknown) => {
        throw new Error(`${this.#stdout}\n${this.#stderr}`, { cause });
      },
    );
    if (!isSaid()) throw new Error(`the command ended:\n${this.#stdout}\n${this.#stderr}`);
  }

  /** For the end of a test: whatever still runs is ended without ceremony. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const left = this.processes();
    this.#child.kill('SIGKILL');
    await this.ended;
    await gone(left, 20_000);
  }
}

/** Runs a command to its end. */
export async function coPilot(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  return new RunningCommand(args, options).endsWithin(60_000);
}

/** Waits until none of these processes is there any more; pids that are used again count as gone. */
export async function gone(processes: readonly ProcessEntry[], withinMs: number): Promise<void> {
  const left = (): readonly ProcessEntry[] => {
    const now = new Map(listProcesses().map((entry) => [entry.pid, entry]));
    return processes.filter(({ pid, startTicks }) => {
      const entry = now.get(pid);
      return entry?.startTicks === startTicks && !entry.isZombie;
    });
  };
  await eventuallyTrue(
    `processes ${processes.map(({ pid }) => pid).join(', ')} to be gone`,
    () => left().length === 0,
    withinMs,
  );
}
