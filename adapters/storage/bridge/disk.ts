import { constants, createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { CoPilotError } from '../../../protocol/errors.ts';
import { syncDirectory } from '../../../protocol/runtime/durable-file.ts';

/** An open file under construction. */
export interface DiskFile {
  /** Writes all of the bytes at that position. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  truncate(length: number): Promise<void>;
  /** Bytes and name survive a power cut once it resolves. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The files of the bridge. Rejects with `STORAGE_FULL` where the disk or its quota is full. */
export interface Disk {
  /** Opens a file of our own for writing, made where a power cut took it, never through a link; `create` empties it. */
  open(path: string, mode: 'create' | 'append'): Promise<DiskFile>;
  /** Makes a directory with its parents, durably; harmless where it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Renames a file within its directory, durably. */
  rename(from: string, to: string): Promise<void>;
  /** Bytes of a file; undefined where there is none. */
  size(path: string): Promise<number | undefined>;
  /** The bytes from `start` up to but not including `end`. */
  read(path: string, start: number, end: number): Readable;
  /** Removes a file or a tree; harmless where it is gone. */
  remove(path: string): Promise<void>;
  /** Names in a directory, read bit by bit; none where there is no such directory. */
  list(path: string): AsyncIterable<string>;
}

/** Read at once: more of them cost less than many small ones, and 256 downloads hold 64 MiB. */
const READ_BYTES = 256 * 1024;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const OUT_OF_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The machine's file system. */
export function createNodeDisk(): Disk {
  const making = new Map<string, Promise<void>>();
  return {
    open: (path, mode) => translated(openFile(path, mode)),
    makeDirectory: (path) => translated(makeOnce(making, path)),
    rename: (from, to) => translated(rename(from, to).then(() => syncDirectory(dirname(to)))),
    size,
    read: (path, start, end) =>
      end > start
        ? createReadStream(path, { start, end: end - 1, highWaterMark: READ_BYTES })
        : Readable.from([]),
    remove: (path) => rm(path, { recursive: true, force: true }),
    list,
  };
}

async function openFile(path: string, mode: 'create' | 'append'): Promise<DiskFile> {
  const { O_CREAT, O_TRUNC, O_WRONLY, O_NOFOLLOW } = constants;
  const flags = O_WRONLY | O_NOFOLLOW | O_CREAT | (mode === 'create' ? O_TRUNC : 0);
  const handle = await open(path, flags, FILE_MODE);
  return {
    write: (bytes, position) => translated(writeAll(handle, bytes, position)),
    truncate: (length) => translated(handle.truncate(length)),
    sync: () => translated(handle.sync().then(() => syncDirectory(dirname(path)))),
    close: () => handle.close(),
  };
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const left = bytes.length - written;
    written += (await handle.write(bytes, written, left, position + written)).bytesWritten;
  }
}

/** Two that need the same directory at once both wait until it is durable. */
function makeOnce(making: Map<string, Promise<void>>, path: string): Promise<void> {
  const running = making.get(path);
  if (running !== undefined) return running;
  const made = make(making, path).finally(() => making.delete(path));
  making.set(path, made);
  return made;
}

async function make(making: Map<string, Promise<void>>, path: string): Promise<void> {
  try {
    await mkdir(path, { mode: DIRECTORY_MODE });
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return;
    if (!hasCode(error, 'ENOENT')) throw error;
    await makeOnce(making, dirname(path));
    return make(making, path);
  }
  await syncDirectory(dirname(path));
}

async function size(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function* list(path: string): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(path)) yield entry.name;
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

async function translated<T>(action: Promise<T>): Promise<T> {
  try {
    return await action;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && OUT_OF_SPACE.has(String(cause.code)))
      throw new CoPilotError('STORAGE_FULL', 'the disk is full', { cause });
    throw cause;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
