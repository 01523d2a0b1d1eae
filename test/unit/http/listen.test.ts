import { lstat, mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { listen, listenLocally } from '../../../broker/http/listen.ts';

const servers: FastifyInstance[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

function createServer(): FastifyInstance {
  const server = Fastify();
  servers.push(server);
  server.get('/', async () => 'hello');
  return server;
}

function get(options: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ path: '/', agent: false, ...options }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      incoming.on('end', () => resolve(text));
    });
    asked.on('error', reject).end();
  });
}

describe('listening', () => {
  it('answers the address it has, and says PORT_TAKEN where another program is', async () => {
    const url = new URL(await listen(createServer(), '127.0.0.1', 0));
    expect(await get({ host: url.hostname, port: url.port })).toBe('hello');
    await expect(listen(createServer(), '127.0.0.1', Number(url.port))).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringContaining(url.port),
    });
  });

  it('at an address that is not this machine’s is no question of the port', async () => {
    await expect(listen(createServer(), '192.0.2.1', 0)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  it('locally is for this user alone, and for one program at a time', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sock-'));
    const path = join(folder, 'control');
    await listenLocally(createServer(), path);
    expect((await lstat(path)).mode & 0o777).toBe(0o600);
    expect(await get({ socketPath: path })).toBe('hello');
    await expect(listenLocally(createServer(), path)).rejects.toMatchObject({ code: 'PORT_TAKEN' });
    await Promise.all(servers.splice(0).map((server) => server.close()));
    await rm(folder, { recursive: true });
  });
});
