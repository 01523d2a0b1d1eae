import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import type { TestContext } from 'vitest';
import { descendants, listProcesses, type ProcessEntry } from '../../agent/executors/process-table.ts';
import { gone } from './co-pilot-command.ts';
import { eventually } from './eventually.ts';

export const PYTHON = '/usr/bin/python3';
export const PYTHON_AGENT = resolve(import.meta.dirname, '../../examples/python-agent');

/** One line that the agent said. */
export interface Said {
  readonly phase: string;
  readonly job?: string;
  readonly attempt?: number;
  readonly code?: string;
}

/** Leaves a test out where there is no Python with the two packages; in CI they must be there. */
export function needsPython(context: TestContext): void {
  const { status } = spawnSync(PYTHON, ['-c', 'import cryptography, websockets']);
  if (status === 0 || process.env['CI'] === 'true') return;
  context.skip(`${PYTHON} lacks cryptography or websockets: python3-cryptography and python3-websockets`);
}

/** The Python agent, as a person would run it. */
export class PythonAgent {
  readonly #child: ChildProcess;
  #output = '';

  constructor(args: readonly string[]) {
    this.#child = spawn(PYTHON, [join(PYTHON_AGENT, 'agent.py'), ...args], {
      env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
  }

  /** All that it wrote, on either stream. */
  get output(): string {
    return this.#output;
  }

  get said(): readonly Said[] {
    const whole = this.#output.slice(0, this.#output.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Said);
  }

  /** The first line that says so; fails at once where the agent ends before. */
  async says(phase: string, job?: string): Promise<Said> {
    return eventually(
      `the agent to say ${phase} ${job ?? ''}`,
      () => {
        const line = this.said.find((one) => one.phase === phase && (job === undefined || one.job === job));
        return line ?? (this.#hasEnded ? { phase: 'ended' } : undefined);
      },
      20_000,
    ).then((line) => {
      if (line.phase === phase) return line;
      throw new Error(`the agent ended:\n${this.#output}`);
    });
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code. */
  async ends(): Promise<number> {
    return eventually('the agent to end', () => this.#child.exitCode ?? undefined, 20_000).catch(
      (cause: unknown) => {
        throw new Error(this.#output, { cause });
      },
    );
  }

  processes(): readonly ProcessEntry[] {
    return descendants(this.#child.pid ?? 0, listProcesses());
  }

  /** As a power cut would have it; a jail ends with its agent. */
  async kill(): Promise<void> {
    if (this.#hasEnded) return;
    const left = this.processes();
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
    await gone(left, 10_000);
  }
}
