import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { acceptsConnections } from '../../cli/accepts-connections.ts';
import { compileModules, nodeCommand } from '../../cli/ejabberd/node.ts';
import { freePort } from '../doubles/free-port.ts';
import { isInstalled, needProgram, type ServerProcess, startServer } from './server-process.ts';

export interface EjabberdPorts {
  readonly agents: number;
  readonly components: number;
}

export interface EjabberdServer extends ServerProcess {
  readonly ports: EjabberdPorts;
  /** Ends it as a power cut does; `start` begins it again where it was. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** On the path of root alone. */
const FOLDERS = ['/usr/sbin'];

/** Where it is missing outside CI, what needs it is left out; in CI nothing is. */
export const LACKS_EJABBERD = process.env['CI'] !== 'true' && !isInstalled('ejabberdctl', FOLDERS);

/** An ejabberd of its own on the loopback interface, which is one process and what that one started. */
export async function startEjabberd(
  directory: string,
  files: (ports: EjabberdPorts) => Readonly<Record<string, string>>,
): Promise<EjabberdServer> {
  needProgram('ejabberdctl', 'ejabberd', FOLDERS);
  const ports = { agents: await freePort(), components: await freePort() };
  await mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(files(ports))) await writeFile(join(directory, name), text);
  if (!(await compileModules(directory)))
    throw new Error('erlc is not installed: apt-get install erlang-base');
  let node = await startNode(directory, ports);
  return {
    get pid() {
      return node.pid;
    },
    ports,
    async kill() {
      process.kill(node.pid, 'SIGKILL');
      await node.stop();
    },
    async start() {
      node = await startNode(directory, ports);
    },
    stop: () => node.stop(),
  };
}

function startNode(directory: string, { agents, components }: EjabberdPorts): Promise<ServerProcess> {
  return startServer({
    file: needProgram('erl', 'erlang-base'),
    ...nodeCommand(directory),
    isReady: async () => (await acceptsConnections(agents)) && (await acceptsConnections(components)),
  });
}
