import { execFile, execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../doubles/free-port.ts';
import { acceptsConnections } from '../../cli/accepts-connections.ts';
import { needProgram, type ServerProcess, startServer } from './server-process.ts';

export interface PostgresServer extends ServerProcess {
  readonly url: string;
}

const VERSIONS = '/usr/lib/postgresql';
const USER = 'postgres';

/** PostgreSQL with a cluster of its own in `directory`; commits are synced, as it comes, unless a setting says otherwise. */
export async function startPostgres(
  directory: string,
  more: readonly string[] = [],
): Promise<PostgresServer> {
  const folders = programFolders();
  const initdb = needProgram('initdb', 'postgresql', folders);
  const file = needProgram('postgres', 'postgresql', folders);
  const user = unprivileged();
  const data = join(directory, 'data');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  if (user !== undefined) for (const path of [directory, data]) chownSync(path, user.uid, user.gid);
  execFileSync(initdb, ['-D', data, '-U', USER, '--auth=trust', '--encoding=UTF8', '--no-locale'], {
    stdio: 'pipe',
    ...user,
  });
  return serve(file, directory, user, more);
}

/** A standby of `primary` in `directory`, which follows it under `name` until it is promoted. */
export async function startStandby(
  primary: PostgresServer,
  directory: string,
  name: string,
): Promise<PostgresServer> {
  const folders = programFolders();
  const copy = needProgram('pg_basebackup', 'postgresql', folders);
  const file = needProgram('postgres', 'postgresql', folders);
  const user = unprivileged();
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  const from = `${primary.url}?application_name=${name}`;
  const args = ['-d', from, '-D', join(directory, 'data'), '-R', '-X', 'stream', '-c', 'fast'];
  await promisify(execFile)(copy, args, { ...user });
  return serve(file, directory, user, []);
}

async function serve(
  file: string,
  directory: string,
  user: ReturnType<typeof unprivileged>,
  more: readonly string[],
): Promise<PostgresServer> {
  const port = await freePort();
  const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${directory}`, ...more];
  const server = await startServer({
    file,
    args: [
      '-D',
      join(directory, 'data'),
      '-p',
      String(port),
      ...settings.flatMap((setting) => ['-c', setting]),
    ],
    ...(user !== undefined && { user }),
    stopSignal: 'SIGINT',
    isReady: () => acceptsConnections(port),
  });
  return { ...server, url: `postgres://${USER}@127.0.0.1:${port}/postgres` };
}

/** Debian keeps a folder for each version; the newest first. */
function programFolders(): readonly string[] {
  try {
    const versions = readdirSync(VERSIONS).toSorted((a, b) => Number(b) - Number(a));
    return versions.map((version) => join(VERSIONS, version, 'bin'));
  } catch {
    return []; // not Debian: what is on the path is taken
  }
}

/** PostgreSQL refuses to be root. */
function unprivileged(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (option: string): number => Number(execFileSync('id', [option, USER], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
