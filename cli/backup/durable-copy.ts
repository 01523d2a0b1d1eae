import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What was copied. */
export interface Copied {
  readonly size: number;
  readonly sha256: string;
}

/** Copies a file, bytes and name synced, readable for its owner alone; memory stays flat. Rejects where the copy exists. */
export async function copyDurably(
  from: string,
  to: string,
  onBytes: (count: number) => void = () => undefined,
): Promise<Copied> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  const source = createReadStream(from);
  const hash = createHash('sha256');
  let size = 0;
  try {
    await new Promise((resolve, reject) => source.once('open', resolve).once('error', reject));
    await using target = await open(to, 'wx', 0o600);
    for await (const chunk of source) {
      const bytes = chunk as Uint8Array;
      hash.update(bytes);
      await target.writeFile(bytes);
      size += bytes.length;
      onBytes(bytes.length);
    }
    await target.sync();
  } finally {
    source.destroy();
  }
  return { size, sha256: hash.digest('hex') };
}

export async function writeDurably(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
}
