import type { FastifyInstance } from 'fastify';
import { CoPilotError } from '../../protocol/errors.ts';
import { closeToOthers, prepareSocketPath } from '../../protocol/runtime/control-socket.ts';

/**
 * Listens on TCP; throws `PORT_TAKEN` where another program does. Answers the base URL. With `isShared` other programs of this user
 * may listen there in the same way, and each connection goes to one of them.
 */
export async function listen(
  server: FastifyInstance,
  host: string,
  port: number,
  isShared = false,
): Promise<string> {
  try {
    return await server.listen({ host, port, ...(isShared && { reusePort: true }) });
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE')) throw cause;
    throw new CoPilotError(
      'PORT_TAKEN',
      `port ${port} of ${host} is taken by another program; stop it or configure another port`,
      { cause },
    );
  }
}

/** Listens on a socket only this user reaches; throws as `prepareSocketPath` does. */
export async function listenLocally(server: FastifyInstance, path: string): Promise<void> {
  await prepareSocketPath(path);
  await server.listen({ path });
  await closeToOthers(path);
}
