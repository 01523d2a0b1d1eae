import { mkdir } from 'node:fs/promises';
import { freePort } from '../doubles/free-port.ts';
import { acceptsConnections } from '../../cli/accepts-connections.ts';
import { needProgram, type ServerProcess, startServer } from './server-process.ts';

export interface RedisServer extends ServerProcess {
  readonly port: number;
}

/** Redis with its files in `directory`; every write is synced before it is answered. */
export async function startRedis(directory: string): Promise<RedisServer> {
  const file = needProgram('redis-server', 'redis-server');
  await mkdir(directory, { recursive: true });
  const port = await freePort();
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: directory,
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    'maxmemory-policy': 'noeviction',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = await startServer({ file, args, isReady: () => acceptsConnections(port) });
  return { ...server, port };
}
