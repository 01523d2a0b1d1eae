import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { acceptsConnections } from '../../cli/accepts-connections.ts';
import { freePort } from '../doubles/free-port.ts';
import { needProgram, type ServerProcess, startServer } from './server-process.ts';

export interface SquidServer extends ServerProcess {
  readonly url: string;
  /** Lines of its access log, oldest first: one for each request it answered. */
  log(): Promise<readonly string[]>;
}

/** Squid with its files in `directory`, for clients on this machine. `hosts` are names that it finds here. */
export async function startSquid(directory: string, hosts: readonly string[]): Promise<SquidServer> {
  const file = needProgram('squid', 'squid', ['/usr/sbin']);
  await mkdir(directory, { recursive: true });
  // As root it becomes another user.
  await chmod(directory, 0o777);
  const port = await freePort();
  const place = (name: string): string => join(directory, name);
  await writeFile(place('hosts'), hosts.map((name) => `127.0.0.1 ${name}\n`).join(''));
  const settings = [
    `http_port 127.0.0.1:${port}`,
    `hosts_file ${place('hosts')}`,
    `access_log stdio:${place('access.log')}`,
    `cache_log ${place('cache.log')}`,
    `pid_filename ${place('squid.pid')}`,
    `coredump_dir ${directory}`,
    'cache_store_log none',
    'cache_mem 8 MB',
    'visible_hostname localhost',
    'shutdown_lifetime 0 seconds',
    'pinger_enable off',
    'http_access allow localhost',
    'http_access deny all',
  ];
  await writeFile(place('squid.conf'), `${settings.join('\n')}\n`);
  const server = await startServer({
    file,
    args: ['-N', '-f', place('squid.conf')],
    isReady: () => acceptsConnections(port),
  });
  return {
    ...server,
    url: `http://127.0.0.1:${port}`,
    async log() {
      const text = await readFile(place('access.log'), 'utf8').catch(() => '');
      return text.split('\n').filter((line) => line !== '');
    },
  };
}
