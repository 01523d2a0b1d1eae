import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CoPilotError } from '../protocol/errors.ts';
import { acceptsConnections } from './accepts-connections.ts';

/** A bus server that runs for one installation on this machine alone. */
export interface PrivateServer {
  stop(): Promise<void>;
}

export interface PrivateServerOptions {
  /** As people call it. */
  readonly name: string;
  readonly directory: string;
  readonly files: Readonly<Record<string, string>>;
  /** In the order they are started; the last one is the server. */
  readonly programs: readonly { readonly file: string; readonly args: readonly string[] }[];
  readonly environment: Readonly<Record<string, string>>;
  /** It serves when all of them accept connections; nobody else may before. */
  readonly ports: readonly number[];
  /** The file that names its process. */
  readonly pidFile: string;
}

const READY_MS = 60_000;
const STOP_MS = 20_000;
const LOOK_MS = 100;

/** Resolves once it listens. Throws `PORT_TAKEN` where another program does, and `UNREACHABLE` where it does not start. */
export async function startPrivateServer(options: PrivateServerOptions): Promise<PrivateServer> {
  const { name, directory, files, programs, environment, ports, pidFile } = options;
  for (const port of ports)
    if (await acceptsConnections(port))
      throw new CoPilotError(
        'PORT_TAKEN',
        `something listens on port ${port} already; if it is the server of a run that was killed, end the process that ${pidFile} names`,
      );
  await writeFiles(directory, files);
  const log = join(directory, 'server.log');
  const output = await open(log, 'a', 0o600);
  const env = { ...process.env, ...environment };
  // In sessions of their own: Ctrl-C in a terminal reaches us alone, and the server ends after those who use it.
  const running = programs.map(({ file, args }) =>
    spawn(file, args, { env, detached: true, stdio: ['ignore', output.fd, output.fd] }),
  );
  await output.close();
  const stop = async (): Promise<void> => {
    for (const child of running.toReversed()) await end(child);
  };
  try {
    for (const port of ports) await listening(name, running, port, log);
  } catch (caught) {
    await stop();
    throw caught;
  }
  return { stop };
}

/** Secrets are in there: for their owner alone. */
export async function writeFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, text, { mode: 0o600 });
    paths.push(path);
  }
  return paths;
}

async function listening(
  name: string,
  running: readonly ChildProcess[],
  port: number,
  log: string,
): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  while (!(await acceptsConnections(port))) {
    if (running.at(-1)?.exitCode !== null || performance.now() > deadlineMs)
      throw new CoPilotError('UNREACHABLE', `${name} did not start; see ${log}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited;
  clearTimeout(timer);
}
