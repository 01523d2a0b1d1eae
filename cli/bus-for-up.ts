import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BusServer, Ports } from './bus-server.ts';
import { busServer } from './bus-servers.ts';
import { choosePorts } from './configuration/generated.ts';
import { loadConfiguration } from './configuration/load.ts';
import { openInstallation } from './installation.ts';

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
  const server = await busServer(name, '--bus');
  server.find();
  const directory = join(parent, name);
  const place = join(directory, 'server');
  const ports = await portsIn(place, server);
  const flags = [...chosen, ...server.settings(ports)];
  const configuration = await loadConfiguration({ directory, environment: process.env, flags });
  const installation = await openInstallation({ directory, configuration });
  const running = await server.start(place, ports, server.files(installation, place));
  return { directory, flags, stop: () => running.stop() };
}

/** Chosen once: agents that enrolled know where the bus is. */
async function portsIn(place: string, { portNames }: BusServer): Promise<Ports> {
  const file = join(place, 'ports.json');
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Ports; // written by us, below
  } catch (caught) {
    if (!(caught instanceof Error && 'code' in caught && caught.code === 'ENOENT')) throw caught;
  }
  const chosen = [
    ...(await choosePorts('127.0.0.1', undefined)),
    ...(await choosePorts('127.0.0.1', undefined)),
  ];
  const ports = Object.fromEntries(portNames.map((name, at) => [name, chosen[at] ?? 0]));
  await mkdir(place, { recursive: true, mode: 0o700 });
  await writeFile(file, JSON.stringify(ports), { mode: 0o600 });
  return ports;
}
