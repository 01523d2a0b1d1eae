import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../../../protocol/errors.ts';

/** Scripts of jobs and what they left, one file each. */
export interface FileStore {
  /** The file has its name once it is whole. Rejects with `QUOTA_EXCEEDED` where it is larger than its bound. */
  write(kind: FileKind, id: string, body: Readable): Promise<void>;
  /** Undefined where there is none. */
  read(kind: FileKind, id: string): Promise<{ readonly size: number; readonly stream: Readable } | undefined>;
  path(kind: FileKind, id: string): string;
  has(kind: FileKind, id: string): Promise<boolean>;
  remove(kind: FileKind, id: string): Promise<void>;
}

export type FileKind = 'input' | 'output';

/** A name of a job: what a UUID is made of, and what else stands in names of files without meaning anything. */
const JOB_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}

/** Names are checked before they come here. */
export async function openFileStore(
  directory: string,
  maxBytes: Readonly<Record<FileKind, number>>,
): Promise<FileStore> {
  let written = 0;
  for (const kind of ['input', 'output'] as const)
    await mkdir(join(directory, kind), { recursive: true, mode: 0o700 });
  const path = (kind: FileKind, id: string): string => join(directory, kind, id);
  return {
    async write(kind, id, body) {
      const part = join(directory, kind, `.${(written += 1)}.part`);
      try {
        await pipeline(body, bounded(maxBytes[kind]), createWriteStream(part, { mode: 0o600, flush: true }));
        await rename(part, path(kind, id));
      } catch (caught) {
        await rm(part, { force: true });
        throw caught;
      }
    },
    async read(kind, id) {
      const found = await stat(path(kind, id)).catch(() => undefined);
      return found && { size: found.size, stream: createReadStream(path(kind, id)) };
    },
    path,
    has: async (kind, id) => (await stat(path(kind, id)).catch(() => undefined)) !== undefined,
    remove: (kind, id) => rm(path(kind, id), { force: true }),
  };
}

function bounded(maxBytes: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= maxBytes) done(null, chunk);
      else done(new CoPilotError('QUOTA_EXCEEDED', `more than ${maxBytes} bytes`));
    },
  });
}
