import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';
import type { BusServer } from '../bus-server.ts';
import { startPrivateServer, writeFiles } from '../private-server.ts';
import { xmppServerFor } from '../xmpp-server.ts';
import { compileModules, PID_FILE, START_FILE } from './modules.ts';
import { ejabberdFiles } from './server-files.ts';

/** On the path of root alone. */
export const EJABBERD_FOLDERS = ['/usr/sbin'];
const INSTALL = 'install it with: sudo apt-get install ejabberd';

/** Throws `UNREACHABLE` with the line that installs it, where the server's programs are not on this machine. */
export function findEjabberd(
  folders: readonly string[] = [...EJABBERD_FOLDERS, ...(process.env['PATH'] ?? '').split(delimiter)],
): void {
  for (const name of ['ejabberdctl', 'erl'])
    if (!folders.some((folder) => existsSync(join(folder, name))))
      throw new CoPilotError('UNREACHABLE', `ejabberd is not installed on this machine; ${INSTALL}`);
}

async function compile(directory: string): Promise<readonly string[]> {
  const made = await compileModules(directory);
  if (made === undefined)
    throw new CoPilotError(
      'UNREACHABLE',
      `the files are in ${directory}, but ejabberd’s modules must be compiled; ${INSTALL}, and say this again`,
    );
  return made;
}

export const ejabberdServer: BusServer = {
  find: () => findEjabberd(),
  portNames: ['bus', 'component'],
  settings: ({ bus, component }) => [
    'bus.kind=ejabberd',
    `bus.url=xmpp://127.0.0.1:${bus}`,
    `bus.componentPort=${component}`,
  ],
  files: (installation, directory) => ejabberdFiles(xmppServerFor(installation, directory, 'ejabberd')),
  complete: compile,
  async start(directory, { bus = 0, component = 0 }, files) {
    await writeFiles(directory, files);
    await compile(directory);
    return startPrivateServer({
      name: 'ejabberd',
      directory,
      files: {},
      programs: [{ file: '/bin/sh', args: [join(directory, START_FILE)] }],
      environment: {},
      ports: [bus, component],
      pidFile: join(directory, PID_FILE),
    });
  },
};
