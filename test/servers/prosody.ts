import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { acceptsConnections } from '../../cli/accepts-connections.ts';
import { freePort } from '../doubles/free-port.ts';
import { needProgram, type ServerProcess, startServer } from './server-process.ts';

export interface ProsodyServer extends ServerProcess {
  readonly ports: ProsodyPorts;
  /** Ends the server as a power cut does; `start` begins it again where it was. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface ProsodyPorts {
  readonly bus: number;
  readonly direct: number;
  readonly component: number;
  readonly webSocket: number;
}

/** Prosody with ports and files of its own, on the loopback interface. */
export async function startProsody(
  directory: string,
  files: (ports: ProsodyPorts) => Readonly<Record<string, string>>,
  chosen: Partial<ProsodyPorts> = {},
): Promise<ProsodyServer> {
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
  const start = (): Promise<ServerProcess> =>
    startServer({
      file: needProgram('prosody', 'prosody'),
      args: ['-F', '--config', join(directory, 'prosody.cfg.lua')],
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
