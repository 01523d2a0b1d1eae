import { join } from 'node:path';

/** Ports a RabbitMQ node of its own listens on, all on the loopback interface. */
export interface NodePorts {
  readonly bus: number;
  readonly distribution: number;
  readonly mapper: number;
}

/** Where Debian keeps the program; the one on the path insists on a user and a directory of its own. */
export const RABBIT_FOLDERS: readonly string[] = ['/usr/lib/rabbitmq/bin'];

/** The environment of a node that shares nothing with others on the machine: files in `directory`, its own port mapper. */
export function nodeEnvironment(directory: string, ports: NodePorts): Readonly<Record<string, string>> {
  return {
    HOME: directory,
    RABBITMQ_NODENAME: `co-pilot-${ports.bus}@localhost`,
    RABBITMQ_MNESIA_BASE: join(directory, 'data'),
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_CONFIG_FILE: join(directory, 'rabbitmq.conf'),
    RABBITMQ_CONF_ENV_FILE: join(directory, 'none'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'enabled_plugins'),
    RABBITMQ_PID_FILE: join(directory, 'pid'),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(ports.mapper),
  };
}

/** Arguments of the port mapper, which is started apart: the node would leave its own behind. */
export function mapperArguments(ports: NodePorts): readonly string[] {
  return ['-address', '127.0.0.1', '-port', String(ports.mapper)];
}
