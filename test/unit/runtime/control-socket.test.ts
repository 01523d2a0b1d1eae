import { once } from 'node:events';
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeToOthers, prepareSocketPath } from '../../../protocol/runtime/control-socket.ts';

let folder: string;
let path: string;
const servers: Server[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sock-'));
  path = join(folder, 'control');
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    await once(server, 'close');
  }
  await rm(folder, { recursive: true });
});

async function serve(at: string): Promise<void> {
  const server = createServer((socket) => socket.end());
  servers.push(server);
  server.listen(at);
  await once(server, 'listening');
}

const refused = (code: string) => ({ code, message: expect.stringMatching(/./) });

describe('the place of a control socket', () => {
  it('is made, for this user alone', async () => {
    const inside = join(folder, 'deep', 'er', 'control');
    await prepareSocketPath(inside);
    expect((await lstat(join(folder, 'deep', 'er'))).mode & 0o777).toBe(0o700);
    await serve(inside);
    await closeToOthers(inside);
    expect((await lstat(inside)).mode & 0o777).toBe(0o600);
  });

  it.each([0o750, 0o705, 0o701, 0o777])(
    'in a directory that others may enter (%o) is refused',
    async (mode) => {
      await chmod(folder, mode);
      await expect(prepareSocketPath(path)).rejects.toMatchObject(refused('NOT_AUTHORIZED'));
    },
  );

  it('in a directory that is a link to another is refused', async () => {
    await mkdir(join(folder, 'real'), { mode: 0o700 });
    await symlink(join(folder, 'real'), join(folder, 'link'));
    await expect(prepareSocketPath(join(folder, 'link', 'control'))).rejects.toMatchObject(
      refused('NOT_AUTHORIZED'),
    );
  });

  it('with a program that answers there is refused, and the program goes on', async () => {
    await serve(path);
    await expect(prepareSocketPath(path)).rejects.toMatchObject(refused('PORT_TAKEN'));
    await expect(prepareSocketPath(path)).rejects.toMatchObject(refused('PORT_TAKEN'));
  });

  it('with something that is no socket is refused, and left as it is', async () => {
    await writeFile(path, 'a letter');
    await expect(prepareSocketPath(path)).rejects.toMatchObject(refused('PORT_TAKEN'));
    expect(await readFile(path, 'utf8')).toBe('a letter');
    await copyFile(path, join(folder, 'letter'));
    await rm(path);
    await symlink(join(folder, 'letter'), path);
    await expect(prepareSocketPath(path)).rejects.toMatchObject(refused('PORT_TAKEN'));
  });

  it('with a socket that nobody answers at is free again', async () => {
    await serve(path);
    // What a killed program leaves: the name of a socket without a listener.
    const [server] = servers.splice(0);
    await rename(path, `${path}.kept`);
    server?.close();
    await rename(`${path}.kept`, path);
    expect((await lstat(path)).isSocket()).toBe(true);
    await prepareSocketPath(path);
    await expect(lstat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('with a longer name than sockets can have is refused', async () => {
    await expect(prepareSocketPath(join(folder, 'x'.repeat(100)))).rejects.toMatchObject(
      refused('INVALID_REQUEST'),
    );
  });
});
