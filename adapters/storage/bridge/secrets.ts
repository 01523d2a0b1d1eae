import { constants } from 'node:fs';
import { link, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hex } from '../../../protocol/encoding.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { syncDirectory } from '../../../protocol/runtime/durable-file.ts';
import type { Random } from '../../../protocol/runtime/runtime.ts';

const KEY_BYTES = 32;

/**
 * The key capabilities are made with, so that they outlive a restart: read from its file, made at the first start. Throws
 * `NOT_AUTHORIZED` where others than the owner may read the file, `STORAGE_CORRUPT` where it holds no key.
 */
export async function loadTokenKey(path: string, random: Random): Promise<Uint8Array> {
  await makeKeyFile(path, random);
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0)
    throw new CoPilotError('NOT_AUTHORIZED', `${path} is readable by others: run chmod 600 on it`);
  const key = await readFile(path);
  if (key.length !== KEY_BYTES)
    throw new CoPilotError('STORAGE_CORRUPT', `${path} holds no key: remove it to have a new one made`);
  return new Uint8Array(key);
}

/** Under its name once all its bytes are durable; one that is there, or comes first, stays. */
async function makeKeyFile(path: string, random: Random): Promise<void> {
  if (await isThere(path)) return;
  const temporary = `${path}.${hex(random.bytes(8))}.new`;
  try {
    await writeSynced(temporary, random.bytes(KEY_BYTES));
    await link(temporary, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  await syncDirectory(dirname(path));
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const { O_CREAT, O_EXCL, O_WRONLY } = constants;
  const file = await open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
