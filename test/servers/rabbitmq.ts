import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  mapperArguments,
  nodeEnvironment,
  type NodePorts,
  RABBIT_FOLDERS,
} from '../../cli/rabbitmq/node-environment.ts';
import { freePort } from '../doubles/free-port.ts';
import { acceptsConnections } from '../../cli/accepts-connections.ts';
import { needProgram, type ServerProcess, startServer } from './server-process.ts';

export interface RabbitServer extends ServerProcess {
  /** With the user `guest`, who may come from this machine only. */
  readonly url: string;
  readonly port: number;
  /** Ends the node as a power cut does; `start` begins it again where it was. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** What a node is started with besides its place. */
export type RabbitFiles = (port: number) => Readonly<Record<string, string>>;

/** As Debian's package comes, but on the loopback interface. */
const AS_IT_COMES: RabbitFiles = (port) => ({
  'rabbitmq.conf': `listeners.tcp.local = 127.0.0.1:${port}\nlog.console.level = error\n`,
  enabled_plugins: '[].\n',
});

/** RabbitMQ with a node, a port mapper and files of its own, on the loopback interface. */
export async function startRabbit(
  directory: string,
  files: RabbitFiles = AS_IT_COMES,
  bus?: number,
): Promise<RabbitServer> {
  const ports = { bus: bus ?? (await freePort()), distribution: await freePort(), mapper: await freePort() };
  await mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(files(ports.bus))) await writeFile(join(directory, name), text);
  const mapper = await startMapper(directory, ports);
  let node = await startNode(directory, ports).catch(async (caught: unknown) => {
    await mapper.stop();
    throw caught;
  });
  let isUp = true;

  async function kill(): Promise<void> {
    isUp = false;
    // The program that was started is a script; the node is another process.
    process.kill(Number(await readFile(join(directory, 'pid'), 'utf8')), 'SIGKILL');
    await node.stop();
  }

  return {
    get pid() {
      return node.pid;
    },
    port: ports.bus,
    url: `amqp://guest:guest@127.0.0.1:${ports.bus}/`,
    kill,
    async start() {
      node = await startNode(directory, ports);
      isUp = true;
    },
    /** Its files are thrown away: nobody needs its farewell, which takes it seconds. */
    async stop() {
      if (isUp) await kill();
      await mapper.stop();
    },
  };
}

function startNode(directory: string, ports: NodePorts): Promise<ServerProcess> {
  return startServer({
    file: needProgram('rabbitmq-server', 'rabbitmq-server', RABBIT_FOLDERS),
    args: [],
    env: nodeEnvironment(directory, ports),
    directory,
    isReady: () => acceptsConnections(ports.bus),
  });
}

/** Started here and not by the node, which would leave it behind. */
function startMapper(directory: string, ports: NodePorts): Promise<ServerProcess> {
  return startServer({
    file: needProgram('epmd', 'erlang-base'),
    args: mapperArguments(ports),
    env: nodeEnvironment(directory, ports),
    directory,
    isReady: () => acceptsConnections(ports.mapper),
  });
}
