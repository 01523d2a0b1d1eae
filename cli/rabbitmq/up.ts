import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';
import { choosePorts } from '../configuration/generated.ts';
import { loadConfiguration } from '../configuration/load.ts';
import { openInstallation } from '../installation.ts';
import { serverFilesFor } from './installation-files.ts';
import type { NodePorts } from './node-environment.ts';
import { findRabbit, startPrivateServer } from './private-server.ts';

/** Of a server whose ports were chosen before its management had one. */
const USUAL_MANAGEMENT_PORT = 15_672;

/** Servers that `co-pilot up` can start for itself. */
export const PRIVATE_SERVERS: readonly string[] = ['rabbitmq'];

/** An installation of its own beside the one with the embedded bus: agents keep the bus that they enrolled on. */
export interface UpOnServer {
  readonly directory: string;
  /** What every role is told beside its file. */
  readonly flags: readonly string[];
  readonly stop: () => Promise<void>;
}

/** Starts a bus server for an installation within `parent`. Throws `UNREACHABLE` where its program is not on this machine. */
export async function startBusFor(
  name: string,
  parent: string,
  chosen: readonly string[],
): Promise<UpOnServer> {
  if (!PRIVATE_SERVERS.includes(name))
    throw new CoPilotError('INVALID_REQUEST', `--bus is one of ${PRIVATE_SERVERS.join(', ')}, not ${name}`);
  findRabbit();
  const directory = join(parent, name);
  const place = join(directory, 'server');
  const ports = await portsIn(place);
  const flags = [
    ...chosen,
    'bus.kind=rabbitmq',
    `bus.url=amqp://127.0.0.1:${ports.bus}`,
    `bus.managementUrl=http://127.0.0.1:${ports.management}`,
  ];
  const configuration = await loadConfiguration({ directory, environment: process.env, flags });
  const installation = await openInstallation({ directory, configuration });
  const server = await startPrivateServer(place, ports, serverFilesFor(installation, place));
  return { directory, flags, stop: () => server.stop() };
}

/** Chosen once: agents that enrolled know where the bus is. */
async function portsIn(place: string): Promise<NodePorts & { readonly management: number }> {
  const file = join(place, 'ports.json');
  try {
    return { management: USUAL_MANAGEMENT_PORT, ...(JSON.parse(await readFile(file, 'utf8')) as NodePorts) }; // written by us, below
  } catch (caught) {
    if (!(caught instanceof Error && 'code' in caught && caught.code === 'ENOENT')) throw caught;
  }
  const [bus, distribution, mapper] = await choosePorts('127.0.0.1', undefined);
  const [management] = await choosePorts('127.0.0.1', undefined);
  const ports = { bus, distribution, mapper, management };
  await mkdir(place, { recursive: true, mode: 0o700 });
  await writeFile(file, JSON.stringify(ports), { mode: 0o600 });
  return ports;
}
