import { chmod, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { CoPilotError } from '../../protocol/errors.ts';

/** Listens on TCP; throws `PORT_TAKEN` where another program does. Answers the base URL. */
export async function listen(server: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (cause) {
    if (!isCode(cause, 'EADDRINUSE')) throw cause;
    throw new CoPilotError(
      'PORT_TAKEN',
      `port ${port} of ${host} is taken by another program; stop it or configure another port`,
      { cause },
    );
  }
}

/** Listens on a socket only this user reaches. One left by a crash is replaced; one that is answered is `PORT_TAKEN`. */
export async function listenLocally(server: FastifyInstance, path: string): Promise<void> {
  if (await isAnswered(path))
    throw new CoPilotError('PORT_TAKEN', `another program serves ${path}; stop it first`);
  await rm(path, { force: true });
  await server.listen({ path });
  await chmod(path, 0o600);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function isCode(caught: unknown, code: string): boolean {
  return caught instanceof Error && 'code' in caught && caught.code === code;
}
