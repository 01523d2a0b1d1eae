import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere } from '../protocol/runtime/read-if-there.ts';
import type { BusServer, Ports } from './bus-server.ts';
import { busServer } from './bus-servers.ts';
import { freePorts } from './configuration/generated.ts';
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
  const known = await readIfThere(file);
  if (known !== undefined) return JSON.parse(known) as Ports; // written by us, below
  const chosen = await freePorts('127.0.0.1', portNames.length);
  const ports = Object.fromEntries(portNames.map((name, at) => [name, chosen[at] ?? 0]));
  await mkdir(place, { recursive: true, mode: 0o700 });
  await writeFile(file, JSON.stringify(ports), { mode: 0o600 });
  return ports;
}
