import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { outputNameParts } from './output-name.ts';

/** An output a job declared: a name below its work directory and the most it may hold. */
export interface DeclaredOutput {
  readonly name: string;
  readonly maxBytes: number;
}

export interface CollectedOutput {
  readonly name: string;
  readonly size: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** Why an output was not taken. `unreadable`: neither missing nor of a wrong kind, yet the file system refuses. */
export type OutputProblem =
  | 'missing'
  | 'name-refused'
  | 'symbolic-link'
  | 'hard-link'
  | 'no-plain-file'
  | 'too-large'
  | 'changed-while-read'
  | 'unreadable';

export interface RefusedOutput {
  readonly name: string;
  readonly problem: OutputProblem;
}

/** An output opened so that no component of its name was followed through a link. The opener closes the handle. */
export type OpenedOutput =
  | { readonly kind: 'opened'; readonly handle: FileHandle; readonly size: number }
  | { readonly kind: 'refused'; readonly problem: OutputProblem };

const directoryFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_DIRECTORY;
/** A pipe put in the file's place must not keep us waiting. */
const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const chunkBytes = 262_144;

const refused = (problem: OutputProblem): OpenedOutput => ({ kind: 'refused', problem });

function problemOf(caught: unknown): OutputProblem {
  const code = caught instanceof Error && 'code' in caught ? caught.code : undefined;
  if (code === 'ENOENT') return 'missing';
  if (code === 'ELOOP') return 'symbolic-link';
  if (code === 'ENOTDIR') return 'no-plain-file';
  if (code === 'ENXIO' || code === 'ENODEV') return 'no-plain-file';
  return 'unreadable';
}

/** Where one component is found: below the open directory itself on Linux, so that no rename in between leads elsewhere. */
const below = (path: string, directory: FileHandle, part: string): string =>
  process.platform === 'linux' ? `/proc/self/fd/${directory.fd}/${part}` : join(path, part);

async function openPart(path: string, flags: number): Promise<FileHandle | OutputProblem> {
  try {
    // What stands there is looked at first: opening a device or a pipe may already do something.
    const stat = await lstat(path);
    if (stat.isSymbolicLink()) return 'symbolic-link';
    if (!stat.isDirectory() && !stat.isFile()) return 'no-plain-file';
    return await open(path, flags);
  } catch (caught) {
    return problemOf(caught);
  }
}

async function checkFile(handle: FileHandle, maxBytes: number): Promise<OpenedOutput> {
  const stat = await handle.stat();
  if (!stat.isFile()) return refused('no-plain-file');
  if (stat.nlink !== 1) return refused('hard-link');
  if (stat.size > maxBytes) return refused('too-large');
  return { kind: 'opened', handle, size: stat.size };
}

async function openLast(path: string, maxBytes: number): Promise<OpenedOutput> {
  const handle = await openPart(path, fileFlags);
  if (typeof handle === 'string') return refused(handle);
  const checked = await checkFile(handle, maxBytes);
  if (checked.kind === 'refused') await handle.close();
  return checked;
}

/**
 * Opens one output below `directory` for reading: only a plain file with a single link and at most `maxBytes`, reached through
 * real directories only. Whatever the job put there instead is a refusal, never an exception.
 */
export async function openOutput(directory: string, output: DeclaredOutput): Promise<OpenedOutput> {
  const parts = outputNameParts(output.name);
  if (parts === undefined) return refused('name-refused');
  let path = directory;
  let current = await openPart(directory, directoryFlags);
  for (const [index, part] of parts.entries()) {
    if (typeof current === 'string') return refused(current);
    const parent = current;
    const next = below(path, parent, part);
    path = join(path, part);
    try {
      if (index === parts.length - 1) return await openLast(next, output.maxBytes);
      current = await openPart(next, directoryFlags);
    } finally {
      await parent.close();
    }
  }
  return refused('name-refused');
}

async function digest(handle: FileHandle, size: number): Promise<string | undefined> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size + 1));
  let total = 0;
  for (;;) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, total);
    if (bytesRead === 0) break;
    total += bytesRead;
    if (total > size) return undefined;
    hash.update(chunk.subarray(0, bytesRead));
  }
  return total === size ? hash.digest('hex') : undefined;
}

async function collectOne(
  directory: string,
  output: DeclaredOutput,
): Promise<CollectedOutput | RefusedOutput> {
  const { name } = output;
  const opened = await openOutput(directory, output);
  if (opened.kind === 'refused') return { name, problem: opened.problem };
  try {
    const sha256 = await digest(opened.handle, opened.size);
    return sha256 === undefined
      ? { name, problem: 'changed-while-read' }
      : { name, size: opened.size, sha256 };
  } catch {
    return { name, problem: 'unreadable' }; // the disk refused a read; the caller reports it by name
  } finally {
    await opened.handle.close();
  }
}

/** Every declared output with its size and digest, and every one that was refused; streamed, one file at a time. */
export async function collectOutputs(
  directory: string,
  declared: readonly DeclaredOutput[],
  signal?: AbortSignal,
): Promise<{ readonly files: readonly CollectedOutput[]; readonly refused: readonly RefusedOutput[] }> {
  const files: CollectedOutput[] = [];
  const problems: RefusedOutput[] = [];
  for (const output of declared) {
    signal?.throwIfAborted();
    const result = await collectOne(directory, output);
    if ('problem' in result) problems.push(result);
    else files.push(result);
  }
  return { files, refused: problems };
}
