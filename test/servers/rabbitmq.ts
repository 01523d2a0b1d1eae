import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../doubles/free-port.ts';
import { acceptsConnections } from './accepts-connections.ts';
import { needProgram, type ServerProcess, startServer } from './server-process.ts';

export interface RabbitServer extends ServerProcess {
  /** With the user `guest`, who may come from this machine only. */
  readonly url: string;
}

const FOLDERS = ['/usr/lib/rabbitmq/bin'];

/** RabbitMQ with a node, a port mapper and files of its own, on the loopback interface. */
export async function startRabbit(directory: string): Promise<RabbitServer> {
  const file = needProgram('rabbitmq-server', 'rabbitmq-server', FOLDERS);
  const [port, distribution, mapper] = [await freePort(), await freePort(), await freePort()];
  await mkdir(directory, { recursive: true });
  const configuration = join(directory, 'rabbitmq.conf');
  await writeFile(configuration, `listeners.tcp.local = 127.0.0.1:${port}\nlog.console.level = error\n`);
  await writeFile(join(directory, 'enabled_plugins'), '[].\n');
  const env = {
    HOME: directory,
    RABBITMQ_NODENAME: `co-pilot-${port}@localhost`,
    RABBITMQ_MNESIA_BASE: join(directory, 'data'),
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_CONFIG_FILE: configuration,
    RABBITMQ_CONF_ENV_FILE: join(directory, 'none'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'enabled_plugins'),
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(mapper),
  };
  const mapperServer = await startMapper(env, mapper);
  const server = await startServer({ file, args: [], env, isReady: () => acceptsConnections(port) });
  return {
    pid: server.pid,
    url: `amqp://guest:guest@127.0.0.1:${port}/`,
    async stop() {
      await server.stop();
      await mapperServer.stop();
    },
  };
}

/** Started here and not by the node, which would leave it behind. */
function startMapper(env: NodeJS.ProcessEnv, port: number): Promise<ServerProcess> {
  const file = needProgram('epmd', 'erlang-base');
  return startServer({
    file,
    args: ['-address', '127.0.0.1', '-port', String(port)],
    env,
    isReady: () => acceptsConnections(port),
  });
}
