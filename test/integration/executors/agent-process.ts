import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, mkdtemp, readFile, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Detection } from '../../../agent/executors/detect-isolation.ts';
import type { JailSpec } from '../../../agent/executors/jail-command.ts';
import { removeJobDirectory } from '../../../agent/executors/job-directory.ts';
import type { Exit, IsolationMethod, JobSignal, LaunchSpec } from '../../../agent/executors/launcher.ts';
import type { DriverRequest } from './agent-driver.ts';

export const isRoot = process.getuid?.() === 0;
/** Whom "an ordinary user" means where the tests run as root. */
export const ordinaryUid = 54_321;
const jailedUid = 254_321;

/** Who runs the agent, and how its jobs are kept apart. */
export interface Setting {
  readonly name: string;
  readonly method: IsolationMethod;
  readonly user: 'root' | 'ordinary';
  /** The agent itself runs in a jail of this method. */
  readonly inside?: 'bubblewrap' | 'unshare';
}

/** Every rung that this user can try: all of them for root. */
export function settings(methods: readonly IsolationMethod[]): Setting[] {
  const users = isRoot ? (['root', 'ordinary'] as const) : (['ordinary'] as const);
  return users.flatMap((user) =>
    methods
      .filter((method) => method !== 'uid' || user === 'root')
      .map((method) => ({
        name: `${method}, agent run by ${user === 'root' ? 'root' : 'an ordinary user'}`,
        method,
        user,
      })),
  );
}

/** Secrets that a job must never show: planted in the agent's key, environment and the broker's ledger. */
export const secrets = {
  key: 'canary-of-the-key',
  environment: 'canary-of-the-agent',
  ledger: 'canary-of-the-ledger',
};

type Outcome =
  | { readonly event: 'exit'; readonly exit: Exit; readonly stdout: string; readonly stderr: string }
  | { readonly event: 'refused'; readonly code: string; readonly message: string };

export type JobRequest = Partial<Omit<LaunchSpec, 'limits'>> & {
  readonly limits?: Partial<LaunchSpec['limits']>;
};

export interface StartedJob {
  readonly id: number;
  readonly directory: string;
  /** Its outermost process; pending for ever where the launch was refused. */
  readonly pid: Promise<number>;
  readonly outcome: Promise<Outcome>;
}

const repository = resolve(import.meta.dirname, '../../..');
const copied = ['agent/executors', 'protocol/errors.ts', 'protocol/runtime', 'package.json'];
const driver = 'test/integration/executors/agent-driver.ts';
const jailer = 'test/integration/executors/agent-jailer.ts';
const limits = { wallSeconds: 30, memoryMiB: 512, diskMiB: 256, files: 1_000, processes: 64 };

/** The checkout may lie where an ordinary user cannot look: the few files the driver needs are copied to where everybody can. */
async function copyProgram(base: string): Promise<{ program: string; node: string }> {
  const program = join(base, 'program');
  for (const path of [...copied, driver, jailer]) {
    await cp(join(repository, path), join(program, path), { recursive: true });
  }
  const node = join(base, 'node');
  // By another process: a descriptor open for writing that a fork of ours inherits would make the binary busy.
  await promisify(execFile)('cp', ['--reflink=auto', process.execPath, node]);
  await chmod(node, 0o755);
  return { program, node };
}

/** Owns a stage: an agent with a key, a broker's files beside it, and jobs of the agent. */
export class AgentProcess {
  readonly base: string;
  readonly node: string;
  readonly setting: Setting;
  readonly child: ChildProcess;
  readonly #waiting = new Map<string, (value: unknown) => void>();
  readonly #early = new Map<string, unknown>();
  #nextId = 1;

  private constructor(base: string, node: string, setting: Setting, child: ChildProcess) {
    this.base = base;
    this.node = node;
    this.setting = setting;
    this.child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => this.#take(line));
  }

  static async start(setting: Setting): Promise<AgentProcess> {
    const base = await mkdtemp(join(await realpath(tmpdir()), 'co-pilot-executor-'));
    try {
      await chmod(base, 0o711);
      const { program, node } = await copyProgram(base);
      await plant(base, setting);
      const child = spawnAgent(base, program, node, setting);
      const agent = new AgentProcess(base, node, setting, child);
      await once(child, 'spawn');
      return agent;
    } catch (caught) {
      await removeJobDirectory(base);
      throw caught;
    }
  }

  get pid(): number {
    return this.child.pid!;
  }

  get key(): string {
    return join(this.base, 'agent', 'key');
  }

  get ledger(): string {
    return join(this.base, 'broker', 'ledger.db');
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit');
      this.child.stdin!.end();
      this.child.kill('SIGKILL');
      await exited;
    }
    await removeJobDirectory(this.base);
  }

  /** Why the setting's method does not work here; undefined where it does. */
  async whyNot(): Promise<string | undefined> {
    const id = this.#nextId++;
    const found = this.#wait(id, 'detected');
    const directory = join(this.base, 'agent');
    this.#tell({ kind: 'detect', id, method: this.setting.method, readOnly: [this.node], directory });
    const detection = (await found) as Detection;
    return detection.kind === 'found'
      ? undefined
      : detection.attempts.map((attempt) => attempt.reason).join('; ');
  }

  /** Whether the agent itself can read a file. */
  async canRead(path: string): Promise<boolean> {
    const id = this.#nextId++;
    const answer = this.#wait(id, 'read');
    this.#tell({ kind: 'read', id, path });
    return (await answer) as boolean;
  }

  /** A shell script as a job in a directory of its own. */
  async startShell(script: string, request: JobRequest = {}): Promise<StartedJob> {
    return this.start({ command: '/bin/sh', arguments: ['-c', script, 'job'], ...request });
  }

  async start(request: JobRequest): Promise<StartedJob> {
    const id = this.#nextId++;
    const directory = request.workDirectory ?? (await this.makeDirectory(`job-${id}`));
    const output = join(this.base, 'agent', 'output', String(id));
    const spec: LaunchSpec = {
      command: '/bin/true',
      arguments: [],
      environment: {},
      readOnly: [this.node],
      stdoutFile: `${output}.stdout`,
      stderrFile: `${output}.stderr`,
      network: 'host',
      ...request,
      workDirectory: directory,
      limits: { ...limits, ...request.limits },
    };
    const pid = this.#wait(id, 'launched') as Promise<number>;
    const outcome = this.#outcome(id, spec);
    this.#tell({ kind: 'launch', id, method: this.setting.method, spec });
    return { id, directory, pid, outcome };
  }

  /** Runs a shell script to its end; fails where it was refused. */
  async runShell(script: string, request: JobRequest = {}): Promise<Extract<Outcome, { event: 'exit' }>> {
    const outcome = await (await this.startShell(script, request)).outcome;
    if (outcome.event === 'refused') throw new Error(`refused: ${outcome.code} ${outcome.message}`);
    return outcome;
  }

  async makeDirectory(name: string): Promise<string> {
    const directory = join(this.base, 'agent', 'jobs', name);
    await mkdir(directory, { mode: 0o700 });
    await this.giveToAgent(directory);
    return directory;
  }

  async giveToAgent(path: string): Promise<void> {
    const uid = agentUid(this.setting);
    if (uid !== undefined) await chown(path, uid, uid);
  }

  signal(job: StartedJob, signal: JobSignal): void {
    this.#tell({ kind: 'signal', job: job.id, signal });
  }

  async #outcome(id: number, spec: LaunchSpec): Promise<Outcome> {
    const exit = this.#wait(id, 'exit');
    const refused = this.#wait(id, 'refused');
    const first = await Promise.race([
      exit.then((value) => ({ event: 'exit' as const, exit: value as Exit })),
      refused.then((value) => ({
        event: 'refused' as const,
        ...(value as { code: string; message: string }),
      })),
    ]);
    if (first.event === 'refused') return first;
    const [stdout, stderr] = await Promise.all(
      [spec.stdoutFile, spec.stderrFile].map((path) => readFile(path, 'utf8')),
    );
    return { ...first, stdout: stdout!, stderr: stderr! };
  }

  #tell(request: DriverRequest): void {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`);
  }

  #wait(id: number, event: string): Promise<unknown> {
    const name = `${id} ${event}`;
    if (this.#early.has(name)) return Promise.resolve(this.#early.get(name));
    return new Promise((done) => this.#waiting.set(name, done));
  }

  #take(line: string): void {
    const { id, event, value } = JSON.parse(line) as { id: number; event: string; value: unknown };
    const name = `${id} ${event}`;
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    if (waiting === undefined) this.#early.set(name, value);
    else waiting(value);
  }
}

function agentUid(setting: Setting): number | undefined {
  if (!isRoot) return undefined;
  if (setting.user === 'ordinary') return ordinaryUid;
  return setting.inside === undefined ? undefined : jailedUid;
}

/** The worst case: the broker's files belong to the very user that runs the agent. */
async function plant(base: string, setting: Setting): Promise<void> {
  for (const [name, mode] of [
    ['agent', 0o711],
    ['agent/jobs', 0o711],
    ['agent/output', 0o700],
    ['broker', 0o700],
  ] as const) {
    await mkdir(join(base, name), { mode });
    await chmod(join(base, name), mode);
  }
  await writeFile(join(base, 'agent', 'key'), secrets.key, { mode: 0o600 });
  await writeFile(join(base, 'broker', 'ledger.db'), secrets.ledger, { mode: 0o600 });
  const uid = agentUid(setting);
  if (uid === undefined) return;
  for (const name of ['agent', 'agent/jobs', 'agent/output', 'agent/key', 'broker', 'broker/ledger.db']) {
    await chown(join(base, name), uid, uid);
  }
}

const inheritedDescriptor = 200;

function spawnAgent(base: string, program: string, node: string, setting: Setting): ChildProcess {
  const stdio: ('pipe' | 'inherit' | 'ignore')[] = ['pipe', 'pipe', 'inherit'];
  // Far above what node closes by itself: what a careless parent leaves open.
  while (stdio.length < inheritedDescriptor) stdio.push('ignore');
  stdio.push('pipe');
  const identity = isRoot && setting.user === 'ordinary' ? { uid: ordinaryUid, gid: ordinaryUid } : {};
  const env = { PATH: process.env.PATH, TMPDIR: join(base, 'agent'), AGENT_SECRET: secrets.environment };
  const main = join(program, driver);
  if (setting.inside === undefined) return spawn(node, [main], { stdio, env, cwd: '/', ...identity });
  const jail: JailSpec = {
    command: node,
    arguments: [main],
    environment: { AGENT_SECRET: secrets.environment, TMPDIR: join(base, 'agent') },
    workDirectory: join(base, 'agent'),
    readOnly: [program, node],
    hiddenPaths: [],
    limits: { memoryMiB: 1_024, diskMiB: 1_024, processes: 500 },
    network: 'host',
    nesting: true,
    descriptors: 'direct',
    uid: jailedUid,
  };
  const args = [join(program, jailer), setting.inside, JSON.stringify(jail)];
  return spawn(node, args, { stdio, env, cwd: '/', ...identity });
}
