import { once } from 'node:events';
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { CoPilotError } from '../errors.ts';
import { unlessMissing } from './unless-missing.ts';

/** Longest path of a Unix socket that every platform takes. */
const MAX_SOCKET_PATH = 103;

/**
 * Makes the place of a control socket: a directory of ours that nobody else may enter, and no live socket in it. Throws
 * `NOT_AUTHORIZED` where others could reach it, `PORT_TAKEN` where a program answers there or the name is something else's,
 * `INVALID_REQUEST` for a path that is too long.
 */
export async function prepareSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new CoPilotError(
      'INVALID_REQUEST',
      `the socket path ${path} is over ${MAX_SOCKET_PATH} bytes; choose a shorter one`,
    );
  }
  await prepareDirectory(dirname(path));
  await removeStale(path);
}

/** The socket of a listening server is for its user alone. */
export async function closeToOthers(path: string): Promise<void> {
  await chmod(path, 0o600);
}

async function prepareDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  const own = process.getuid?.() ?? found.uid;
  if (!found.isDirectory() || found.uid !== own || (found.mode & 0o077) !== 0) {
    throw new CoPilotError(
      'NOT_AUTHORIZED',
      `${directory} must be a directory that only you may enter: choose another, or chmod 700 it if it is yours alone`,
    );
  }
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(unlessMissing);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new CoPilotError('PORT_TAKEN', `${path} exists and is no socket; name another path`);
  if (await answers(path))
    throw new CoPilotError('PORT_TAKEN', `another program answers at ${path}; stop it first`);
  await unlink(path);
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // Refused: the program that left the socket is gone.
    return false;
  } finally {
    socket.destroy();
  }
}
