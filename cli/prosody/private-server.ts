import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';
import type { BusServer } from '../bus-server.ts';
import { startPrivateServer } from '../private-server.ts';
import { CONFIGURATION_FILE, PID_FILE } from './server-files.ts';
import { serverFilesFor } from './installation-files.ts';

/** Throws `UNREACHABLE` with the line that installs it, where the server's program is not on this machine. */
export function findProsody(path = (process.env['PATH'] ?? '').split(delimiter)): string {
  const found = path.map((folder) => join(folder, 'prosody')).find(existsSync);
  if (found === undefined)
    throw new CoPilotError(
      'UNREACHABLE',
      'Prosody is not installed on this machine; install it with: sudo apt-get install prosody',
    );
  return found;
}

export const prosodyServer: BusServer = {
  find: () => void findProsody(),
  portNames: ['bus', 'component'],
  settings: ({ bus, component }) => [
    'bus.kind=prosody',
    `bus.url=xmpp://127.0.0.1:${bus}`,
    `bus.componentPort=${component}`,
  ],
  files: serverFilesFor,
  start: (directory, { bus = 0, component = 0 }, files) =>
    startPrivateServer({
      name: 'Prosody',
      directory,
      files,
      programs: [{ file: findProsody(), args: ['-F', '--config', join(directory, CONFIGURATION_FILE)] }],
      environment: {},
      ports: [bus, component],
      pidFile: join(directory, PID_FILE),
    }),
};
