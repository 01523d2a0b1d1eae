import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
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

async function makeKeyFile(path: string, random: Random): Promise<void> {
  const { O_CREAT, O_EXCL, O_WRONLY } = constants;
  try {
    const file = await open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600);
    try {
      await file.writeFile(random.bytes(KEY_BYTES));
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}
