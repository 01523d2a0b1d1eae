import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { shown } from './problem.ts';

/** Largest input file (common.schema.json, size). */
const MAX_INPUT_BYTES = 2 ** 40;

export type ReadInput =
  | { readonly kind: 'file'; readonly size: number; readonly sha256: string; readonly executable: boolean }
  | { readonly kind: 'fault'; readonly message: string };

/** Size and digest of an input, read as a stream. */
export async function readInput(path: string): Promise<ReadInput> {
  try {
    const found = await stat(path);
    if (!found.isFile()) return fault(`${shown(path)} is no file`);
    if (found.size > MAX_INPUT_BYTES) return fault(`${shown(path)} is over 1 TiB`);
    const { size, sha256 } = await digest(path);
    return { kind: 'file', size, sha256, executable: (found.mode & 0o111) !== 0 };
  } catch (caught) {
    return fault(reason(caught, path));
  }
}

async function digest(path: string): Promise<{ readonly size: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path)) {
    if (!Buffer.isBuffer(chunk)) continue;
    hash.update(chunk);
    size += chunk.length;
  }
  return { size, sha256: hash.digest('hex') };
}

function reason(caught: unknown, path: string): string {
  const code = caught instanceof Error && 'code' in caught ? String(caught.code) : '';
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return `there is no file ${shown(path)}; paths are relative to the campaign file`;
  if (code === 'EACCES') return `${shown(path)} may not be read`;
  return `${shown(path)} cannot be read`;
}

function fault(message: string): ReadInput {
  return { kind: 'fault', message };
}
