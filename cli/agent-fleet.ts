import { chownSync, existsSync } from 'node:fs';
import { chmod, mkdir, open, realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { descendants, listProcesses } from '../agent/executors/process-table.ts';
import {
  type Detection,
  detectIsolation,
  type IsolationMethod,
  jailCommand,
} from '../agent/executors/index.ts';
import { secretFiles } from '../agent/store/agent-files.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { nodeClock } from '../protocol/runtime/node-runtime.ts';
import { type ChildProgram, type Line, startChild } from './child-program.ts';

/** One agent of the fleet, in whichever process runs it now. */
export interface FleetAgent {
  readonly index: number;
  readonly name: string;
  readonly directory: string;
  program: ChildProgram;
}

export interface FleetOptions {
  /** Each agent has a directory of its own in here. */
  readonly directory: string;
  readonly method: IsolationMethod;
  /** How agents keep their jobs apart where a person chose it; each agent finds out for itself otherwise. */
  readonly jobMethod: IsolationMethod | undefined;
  readonly issueCode: (owner: string) => Promise<string>;
  readonly onLine: (agent: number, line: Line) => void;
}

const ROOT = dirname(import.meta.dirname);
/** Far above what the uids of jobs are taken from. */
const FIRST_UID = 300_000;
const STOP_MS = 8_000;
const LIMITS = { memoryMiB: 8192, diskMiB: 65_536, processes: 4096 };

/** What the agent's own program needs to read; nothing of the broker's lies in it. */
async function ownFiles(): Promise<readonly string[]> {
  const node = dirname(await realpath(process.execPath));
  const files = ['agent', 'protocol', 'node_modules', 'package.json'].map((name) => join(ROOT, name));
  return node.startsWith('/usr/') ? files : [...files, node];
}

/** The strongest way to keep agents apart that works here. */
export async function detectAgentIsolation(preferred: IsolationMethod | undefined): Promise<Detection> {
  return detectIsolation(preferred, { clock: nodeClock, readOnly: await ownFiles() });
}

/**
 * Agents as operating-system processes of their own, each under another user id or in its own namespace: an agent sees its
 * directory, its program and the network, and nothing of the broker's.
 */
export class AgentFleet {
  readonly #options: FleetOptions;
  readonly #agents = new Map<number, FleetAgent>();
  #isStopping = false;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  get agents(): readonly FleetAgent[] {
    return [...this.#agents.values()];
  }

  async start(index: number): Promise<FleetAgent> {
    const name = `agent-${index + 1}`;
    const directory = join(this.#options.directory, name);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await this.#hand(name, directory);
    const agent = { index, name, directory, program: await this.#launch(index, directory) };
    this.#agents.set(index, agent);
    return agent;
  }

  /**
   * A code for an agent that has not enrolled. It lies beside the agent's directory: inside, the agent could have put a link in
   * its place that leads to a file of ours.
   */
  async #hand(name: string, directory: string): Promise<void> {
    const file = codeFileOf(directory);
    await rm(file, { force: true });
    if (secretFiles(directory).every((path) => existsSync(path))) return;
    await writeFile(file, await this.#options.issueCode(name), { mode: 0o400, flag: 'wx' });
  }

  async #launch(index: number, directory: string): Promise<ChildProgram> {
    const { method, onLine } = this.#options;
    const log = await open(join(dirname(directory), `${index + 1}.log`), 'a', 0o600);
    try {
      const command = await this.#command(method, index, directory);
      return startChild({ name: `agent-${index + 1}`, stderr: log.fd, ...command }, (line) =>
        onLine(index, line),
      );
    } finally {
      await log.close();
    }
  }

  async #command(method: IsolationMethod, index: number, directory: string) {
    const { jobMethod } = this.#options;
    const codes = [codeFileOf(directory)].filter((path) => existsSync(path));
    const args = [
      join(ROOT, 'agent/program.ts'),
      ...['--directory', directory, '--json', '--with-parent'],
      ...codes.flatMap((path) => ['--code-file', path]),
      ...(jobMethod === undefined ? [] : ['--isolation', jobMethod]),
    ];
    const environment = { NODE_NO_WARNINGS: '1' };
    if (method === 'none') {
      const env = { ...environment, PATH: process.env['PATH'] };
      return { file: process.execPath, args, cwd: directory, env };
    }
    if (process.getuid?.() === 0) await this.#give([directory, ...codes], FIRST_UID + index);
    const {
      file,
      args: jailed,
      options,
    } = jailCommand(method, {
      command: process.execPath,
      arguments: args,
      environment,
      workDirectory: directory,
      readOnly: [...(await ownFiles()), ...codes],
      limits: LIMITS,
      network: 'host',
      nesting: true,
      uid: FIRST_UID + index,
      descriptors: 'direct',
    });
    return { file, args: jailed, ...options };
  }

  /** The agent's user must own what is its own, and be able to pass through to it. */
  async #give(paths: readonly string[], uid: number): Promise<void> {
    await chmod(this.#options.directory, 0o711);
    for (const path of paths) chownSync(path, uid, uid);
  }

  /** Ends the agent and everything it runs at once, as a power cut does. */
  kill(agent: FleetAgent): void {
    for (const pid of this.#pids(agent)) signal(pid, 'SIGKILL');
  }

  pause(agent: FleetAgent): void {
    for (const pid of this.#pids(agent)) signal(pid, 'SIGSTOP');
  }

  resume(agent: FleetAgent): void {
    for (const pid of this.#pids(agent)) signal(pid, 'SIGCONT');
  }

  /** Starts an agent that was killed, in its old directory. */
  async restart(agent: FleetAgent): Promise<void> {
    if (this.#isStopping) return;
    await agent.program.exited;
    agent.program = await this.#launch(agent.index, agent.directory);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.agents.map((agent) => this.#stopOne(agent)));
  }

  async #stopOne(agent: FleetAgent): Promise<void> {
    if (!agent.program.isRunning) return;
    // The jail's outer processes pass no signal on: closing standard input is what the agent itself hears.
    agent.program.closeInput();
    const isGone = await agent.program.exitsWithin(STOP_MS);
    if (!isGone) this.kill(agent);
    await agent.program.exited;
  }

  #pids(agent: FleetAgent): readonly number[] {
    if (agent.program.pid === 0) throw new CoPilotError('NOT_FOUND', `${agent.name} does not run`);
    const inner = descendants(agent.program.pid, listProcesses()).map(({ pid }) => pid);
    return [...new Set([agent.program.pid, ...inner])];
  }
}

function codeFileOf(directory: string): string {
  return `${directory}.code`;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended in the meantime, which is no less than what was wanted.
  }
}
