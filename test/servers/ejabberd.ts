import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { acceptsConnections } from '../../cli/accepts-connections.ts';
import { compileModules, START_FILE } from '../../cli/ejabberd/modules.ts';
import { EJABBERD_FOLDERS } from '../../cli/ejabberd/private-server.ts';
import { freePort } from '../doubles/free-port.ts';
import { needProgram, type ServerProcess, startServer } from './server-process.ts';

export interface EjabberdServer extends ServerProcess {
  readonly ports: EjabberdPorts;
  /** Ends the server as a power cut does; `start` begins it again where it was. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface EjabberdPorts {
  readonly bus: number;
  readonly direct: number;
  readonly component: number;
  readonly webSocket: number;
}

/** An ejabberd of its own on the loopback interface, which is one process and what that one started. */
export async function startEjabberd(
  directory: string,
  files: (ports: EjabberdPorts) => Readonly<Record<string, string>>,
  chosen: Partial<EjabberdPorts> = {},
): Promise<EjabberdServer> {
  needProgram('ejabberdctl', 'ejabberd', EJABBERD_FOLDERS);
  const ports = {
    bus: await freePort(),
    direct: await freePort(),
    component: await freePort(),
    webSocket: await freePort(),
    ...chosen,
  };
  const written = files(ports);
  const texts = Object.values(written).join('\n');
  // It need not have all of them.
  const used = Object.values(ports).filter((port) => texts.includes(String(port)));
  for (const [name, text] of Object.entries(written)) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  if ((await compileModules(directory)) === undefined) needProgram('erlc', 'erlang-base');
  const start = (): Promise<ServerProcess> =>
    startServer({
      file: '/bin/sh',
      args: [join(directory, START_FILE)],
      directory,
      isReady: async () => (await Promise.all(used.map((port) => acceptsConnections(port)))).every(Boolean),
    });
  let server = await start();
  return {
    ports,
    get pid() {
      return server.pid;
    },
    async kill() {
      process.kill(server.pid, 'SIGKILL');
      await server.stop();
    },
    async start() {
      server = await start();
    },
    stop: () => server.stop(),
  };
}
