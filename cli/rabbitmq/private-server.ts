import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';
import { acceptsConnections } from '../accepts-connections.ts';
import { mapperArguments, nodeEnvironment, type NodePorts, RABBIT_FOLDERS } from './node-environment.ts';

/** A RabbitMQ that runs for one installation on this machine alone. */
export interface PrivateServer {
  stop(): Promise<void>;
}

const READY_MS = 60_000;
const STOP_MS = 20_000;
const LOOK_MS = 100;

/** Throws `UNREACHABLE` with the line that installs it, where the server's programs are not on this machine. */
export function findRabbit(
  path = (process.env['PATH'] ?? '').split(delimiter),
  folders = RABBIT_FOLDERS,
): { readonly server: string; readonly mapper: string } {
  const server = [...folders, ...path].map((folder) => join(folder, 'rabbitmq-server')).find(existsSync);
  const mapper = path.map((folder) => join(folder, 'epmd')).find(existsSync);
  if (server === undefined || mapper === undefined)
    throw new CoPilotError(
      'UNREACHABLE',
      'RabbitMQ is not installed on this machine; install it with: sudo apt-get install rabbitmq-server',
    );
  return { server, mapper };
}

/** Starts it with these files in `directory`, and resolves once it listens. Throws `PORT_TAKEN` where another program does. */
export async function startPrivateServer(
  directory: string,
  ports: NodePorts,
  files: Readonly<Record<string, string>>,
): Promise<PrivateServer> {
  const programs = findRabbit();
  if (await acceptsConnections(ports.bus))
    throw new CoPilotError(
      'PORT_TAKEN',
      `something listens on port ${ports.bus} already; if it is the server of a run that was killed, end the process that ${join(directory, 'pid')} names`,
    );
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(files))
    await writeFile(join(directory, name), text, { mode: 0o600 });
  const env = { ...process.env, ...nodeEnvironment(directory, ports) };
  const log = await open(join(directory, 'server.log'), 'a', 0o600);
  // In sessions of their own: Ctrl-C in a terminal reaches us alone, and the server ends after those who use it.
  const run = (file: string, args: readonly string[]): ChildProcess =>
    spawn(file, args, { env, detached: true, stdio: ['ignore', log.fd, log.fd] });
  const mapper = run(programs.mapper, mapperArguments(ports));
  const server = run(programs.server, []);
  await log.close();
  const stop = async (): Promise<void> => {
    await end(server);
    await end(mapper);
  };
  try {
    await listening(server, ports.bus, join(directory, 'server.log'));
  } catch (caught) {
    await stop();
    throw caught;
  }
  return { stop };
}

async function listening(server: ChildProcess, port: number, log: string): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  while (!(await acceptsConnections(port))) {
    if (server.exitCode !== null || performance.now() > deadlineMs)
      throw new CoPilotError('UNREACHABLE', `RabbitMQ did not start; see ${log}`);
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
