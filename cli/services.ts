import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CoPilotError, type ErrorCode } from '../protocol/errors.ts';
import { BROKER_FLAGS } from '../broker/node-flags.ts';
import { type ChildProgram, type Line, startChild } from './child-program.ts';
import { frameworkRole, type ProgramRole, ROLES, roleDirectory } from './installation.ts';
import { DEFAULT_LOG_BOUNDS, type LogBounds, rotateLog } from './rotate-log.ts';

export interface ServicesOptions {
  readonly directory: string;
  /** What was set on the command line, for every role. */
  readonly flags?: readonly string[];
  /** Names of the frameworks whose adapters run too. */
  readonly frameworks?: readonly string[];
  readonly onLine: (role: ProgramRole, line: Line) => void;
  /** A role ended though nobody asked it to; it is started again. */
  readonly onRestart: (role: ProgramRole, reason: string) => void;
  /** Of the log of each role. */
  readonly logBounds?: LogBounds;
}

const ROOT = dirname(import.meta.dirname);
const READY_MS = 30_000;
const STOP_MS = 10_000;
/** How often the logs are held against their bounds. */
const LOOK_MS = 10_000;
/** A role that ends again and again before it is ready is not started a fourth time. */
const MAX_FAILED_STARTS = 3;

/** Broker and adapters as processes of their own, started again when one ends unasked. */
export class Services {
  readonly #options: ServicesOptions;
  readonly #programs = new Map<ProgramRole, ChildProgram>();
  readonly #failedStarts = new Map<ProgramRole, number>();
  readonly #held = new Set<ProgramRole>();
  readonly #roles: readonly ProgramRole[];
  #looking: NodeJS.Timeout | undefined;
  #isStopping = false;
  /** Rejects when a role cannot be kept running. */
  readonly broken: Promise<never>;
  #break: (reason: Error) => void = () => undefined;

  constructor(options: ServicesOptions) {
    this.#options = options;
    this.#roles = [...ROLES, ...(options.frameworks ?? []).map(frameworkRole)];
    this.broken = new Promise((_, reject) => {
      this.#break = reject;
    });
    this.broken.catch(() => undefined); // whoever races against it hears of it
  }

  async start(): Promise<void> {
    this.#rotateLogs();
    this.#looking = setInterval(() => this.#rotateLogs(), LOOK_MS);
    await this.#start('broker');
    await Promise.all(this.#roles.filter((role) => role !== 'broker').map((role) => this.#start(role)));
  }

  /** Ends a role as a power cut does; it is started again like any that ends. */
  kill(role: ProgramRole): void {
    this.#programs.get(role)?.signal('SIGKILL');
  }

  /** Ends a role and leaves it ended until `resume`. */
  async hold(role: ProgramRole): Promise<void> {
    this.#held.add(role);
    await this.#programs.get(role)?.stop(STOP_MS);
  }

  async resume(role: ProgramRole): Promise<void> {
    this.#held.delete(role);
    await this.#start(role);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#looking);
    // Adapters first: the broker then has nothing more to ask anybody.
    for (const role of this.#roles.toReversed()) await this.#programs.get(role)?.stop(STOP_MS);
  }

  async #start(role: ProgramRole): Promise<void> {
    const log = await open(join(roleDirectory(this.#options.directory, role), 'log'), 'a', 0o600);
    const args = [
      ...(role === 'broker' ? BROKER_FLAGS : []),
      join(ROOT, 'co-pilot.ts'),
      'up',
      '--role',
      role.replace('frameworks/', ''),
      '--data',
      this.#options.directory,
      ...(this.#options.flags ?? []).flatMap((flag) => ['--set', flag]),
      '--with-parent',
    ];
    // In a session of its own: Ctrl-C in a terminal reaches us alone, and agents can give back what they hold before roles end.
    const command = { name: role, file: process.execPath, args, stderr: log.fd, detached: true };
    const program = startChild(command, (line) => this.#options.onLine(role, line));
    await log.close();
    this.#programs.set(role, program);
    void program.exited.then(({ code, signal }) => this.#onExit(role, signal ?? `code ${code}`));
    await program
      .line((line) => line['event'] === 'ready' || line['event'] === 'failed', READY_MS)
      .then(throwFailure);
    this.#failedStarts.delete(role);
  }

  /** A log that cannot be moved aside is no reason to end what works. */
  #rotateLogs(): void {
    for (const role of this.#roles) {
      try {
        rotateLog(this.logOf(role), this.#options.logBounds ?? DEFAULT_LOG_BOUNDS);
      } catch (caught) {
        this.#options.onLine(role, { event: 'log-not-rotated', message: String(caught) });
      }
    }
  }

  #onExit(role: ProgramRole, reason: string): void {
    if (this.#isStopping || this.#held.has(role)) return;
    const failures = (this.#failedStarts.get(role) ?? 0) + 1;
    this.#failedStarts.set(role, failures);
    if (failures > MAX_FAILED_STARTS) {
      this.#break(new Error(`the ${role} ends each time it is started (${reason}); see ${this.logOf(role)}`));
      return;
    }
    this.#options.onRestart(role, reason);
    this.#start(role).catch((caught: unknown) => {
      if (!this.#programs.get(role)?.isRunning) return; // its exit was counted
      this.#break(caught instanceof Error ? caught : new Error(String(caught)));
    });
  }

  logOf(role: ProgramRole): string {
    return join(roleDirectory(this.#options.directory, role), 'log');
  }
}

/** A role says why it cannot start, with its code, before it ends. */
function throwFailure(line: Line): void {
  if (line['event'] !== 'failed') return;
  // Our own program of the same version said it: the code is one of ours.
  throw new CoPilotError(line['code'] as ErrorCode, String(line['message']));
}
