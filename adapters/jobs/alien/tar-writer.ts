import { open, stat } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { CoPilotError } from '../../../protocol/errors.ts';

const BLOCK = 512;

export type TarContent =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

export interface TarEntry {
  /** One segment of at most 99 characters. */
  readonly name: string;
  readonly isExecutable: boolean;
  readonly content: TarContent;
}

/** Writes a tar (ustar) that has the same bytes for the same files, whenever and by whomever it is made. */
export async function writeTar(path: string, entries: readonly TarEntry[]): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    for (const entry of entries) {
      const size =
        entry.content.kind === 'bytes' ? entry.content.bytes.length : (await stat(entry.content.path)).size;
      await file.write(header(entry, size));
      let written = 0;
      for await (const chunk of chunksOf(entry.content)) {
        written += chunk.length;
        await file.write(chunk);
      }
      if (written !== size) throw new CoPilotError('INTERNAL', 'an input changed while it was packed');
      await file.write(Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK));
    }
    await file.write(Buffer.alloc(2 * BLOCK));
  } finally {
    await file.close();
  }
}

function chunksOf(content: TarContent): AsyncIterable<Uint8Array> | readonly Uint8Array[] {
  return content.kind === 'bytes' ? [content.bytes] : createReadStream(content.path);
}

function header({ name, isExecutable }: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0, 99, 'latin1');
  block.write(isExecutable ? '0000755\0' : '0000644\0', 100, 'latin1');
  block.write('0000000\0'.repeat(2), 108, 'latin1');
  block.write(sizeField(size), 124, 'latin1');
  block.write('00000000000\0', 136, 'latin1');
  block.fill(' ', 148, 156);
  block.write('0', 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function sizeField(size: number): string {
  const digits = size.toString(8);
  if (digits.length > 11) throw new CoPilotError('QUOTA_EXCEEDED', 'an input is larger than 8 GiB');
  return `${digits.padStart(11, '0')}\0`;
}
