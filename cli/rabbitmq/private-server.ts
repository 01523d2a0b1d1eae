import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';
import type { BusServer } from '../bus-server.ts';
import { startPrivateServer } from '../private-server.ts';
import { serverFilesFor } from './installation-files.ts';
import { mapperArguments, nodeEnvironment, RABBIT_FOLDERS } from './node-environment.ts';

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

/** Of a server whose ports were chosen before its management had one. */
const USUAL_MANAGEMENT_PORT = 15_672;

export const rabbitServer: BusServer = {
  find: () => void findRabbit(),
  portNames: ['bus', 'distribution', 'mapper', 'management'],
  settings: ({ bus, management = USUAL_MANAGEMENT_PORT }) => [
    'bus.kind=rabbitmq',
    `bus.url=amqp://127.0.0.1:${bus}`,
    `bus.managementUrl=http://127.0.0.1:${management}`,
  ],
  files: serverFilesFor,
  start(directory, { bus = 0, distribution = 0, mapper = 0 }, files) {
    const ports = { bus, distribution, mapper };
    const programs = findRabbit();
    return startPrivateServer({
      name: 'RabbitMQ',
      directory,
      files,
      programs: [
        { file: programs.mapper, args: mapperArguments(ports) },
        { file: programs.server, args: [] },
      ],
      environment: nodeEnvironment(directory, ports),
      ports: [bus],
      pidFile: join(directory, 'pid'),
    });
  },
};
