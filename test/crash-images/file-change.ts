import { resolve } from 'node:path';
import { describedIn, stringsIn, type SystemCall } from './trace-line.ts';

/** What a system call did to files, once it had succeeded; all paths are absolute. */
export type FileChange =
  | { readonly kind: 'write'; readonly path: string; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'append'; readonly path: string; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly path: string; readonly length: number }
  | { readonly kind: 'create'; readonly path: string }
  | { readonly kind: 'make-directory'; readonly path: string }
  | { readonly kind: 'link' | 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'sync'; readonly path: string };

/** A change, and between which lines of the trace it happened. */
export interface TracedChange {
  readonly start: number;
  readonly end: number | undefined;
  readonly change: FileChange;
}

/** Calls to trace: all that can change a file, and those that tell the world something. */
export const TRACED_CALLS = [
  ...['open', 'openat', 'creat', 'write', 'pwrite64', 'writev', 'pwritev', 'pwritev2', 'lseek'],
  ...['ftruncate', 'truncate', 'fallocate', 'copy_file_range', 'sendfile', 'splice', 'mmap'],
  ...['rename', 'renameat', 'renameat2', 'link', 'linkat', 'symlink', 'symlinkat'],
  ...['unlink', 'unlinkat', 'mkdir', 'mkdirat', 'rmdir', 'fsync', 'fdatasync', 'sync', 'syncfs'],
  ...['sync_file_range', 'sendto', 'sendmsg', 'sendmmsg'],
];

/** What this model of a disk cannot follow; a program that does it below the root must be modelled first. */
const NOT_MODELLED = new Set(['copy_file_range', 'sendfile', 'splice', 'fallocate', 'symlink', 'symlinkat']);
const WRITES = new Set(['write', 'writev']);
const PLACED_WRITES = new Set(['pwrite64', 'pwritev', 'pwritev2']);
const RENAMES = new Set(['rename', 'renameat', 'renameat2']);
const SENDS = new Set(['write', 'writev', 'sendto', 'sendmsg', 'sendmmsg']);

/** Whether a call hands bytes to somebody outside the process. */
export function isSent(call: SystemCall): boolean {
  return SENDS.has(call.name) && /^(?:socket|pipe):/.test(describedIn(call.arguments)?.path ?? '');
}

/** The changes below a directory, in the order they began. Throws at what the model cannot follow. */
export function changesBelow(calls: readonly SystemCall[], root: string): readonly TracedChange[] {
  const offsets = new Map<number, number>();
  return calls.flatMap((call) => {
    const changes = changesOf(call, offsets);
    if (changes.some((change) => pathsOf(change).some((path) => isBelow(path, root)))) requireModelled(call);
    return changes
      .filter((change) => pathsOf(change).some((path) => isBelow(path, root)))
      .map((change) => ({ start: call.start, end: call.end, change }));
  });
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`);
}

function requireModelled({ name, arguments: given }: SystemCall): void {
  if (NOT_MODELLED.has(name)) throw new Error(`${name} is not modelled: ${given.slice(0, 100)}`);
}

function pathsOf(change: FileChange): readonly string[] {
  return 'path' in change ? [change.path] : [change.from, change.to];
}

/** `offsets` holds where each descriptor stands; -1 for one that appends. */
function changesOf(call: SystemCall, offsets: Map<number, number>): readonly FileChange[] {
  const { name, arguments: given, result } = call;
  if (result.startsWith('-1 ')) return [];
  if (name === 'open' || name === 'openat' || name === 'creat') return opened(call, offsets);
  const target = describedIn(given);
  if (WRITES.has(name)) return written(call, offsets);
  if (target !== undefined && PLACED_WRITES.has(name)) {
    const offset = Number(/, (\d+)$/.exec(given)?.[1]);
    return [{ kind: 'write', path: target.path, offset, bytes: takenBytes(call) }];
  }
  if (target !== undefined && name === 'lseek') {
    offsets.set(target.descriptor, Number(result));
    return [];
  }
  if (name === 'mmap') return mapped(call);
  if (RENAMES.has(name) || name === 'link' || name === 'linkat') {
    const [from = '', to = ''] = pathsIn(given);
    return [{ kind: RENAMES.has(name) ? 'rename' : 'link', from, to }];
  }
  return changesOfOnePath(call);
}

function changesOfOnePath({ name, arguments: given }: SystemCall): readonly FileChange[] {
  const path = describedIn(given)?.path ?? '';
  const [named = ''] = pathsIn(given);
  switch (name) {
    case 'fsync':
    case 'fdatasync':
      return [{ kind: 'sync', path }];
    case 'ftruncate':
      return [{ kind: 'truncate', path, length: Number(/, (\d+)$/.exec(given)?.[1]) }];
    case 'truncate':
      return [{ kind: 'truncate', path: named, length: Number(/, (\d+)$/.exec(given)?.[1]) }];
    case 'mkdir':
    case 'mkdirat':
      return [{ kind: 'make-directory', path: named }];
    case 'unlink':
    case 'unlinkat':
    case 'rmdir':
      return [{ kind: 'remove', path: named }];
    default:
      return NOT_MODELLED.has(name) ? [{ kind: 'append', path, bytes: Buffer.alloc(0) }] : [];
  }
}

/** Opening for writing may make a file and may empty it. */
function opened({ name, arguments: given, result }: SystemCall, offsets: Map<number, number>): FileChange[] {
  const file = describedIn(result);
  if (file === undefined) return [];
  offsets.set(file.descriptor, given.includes('O_APPEND') ? -1 : 0);
  const { path } = file;
  const isMade = name === 'creat' || given.includes('O_CREAT');
  const isEmptied = name === 'creat' || given.includes('O_TRUNC');
  return [
    ...(isMade ? [{ kind: 'create', path } as const] : []),
    ...(isEmptied ? [{ kind: 'truncate', path, length: 0 } as const] : []),
  ];
}

function written(call: SystemCall, offsets: Map<number, number>): readonly FileChange[] {
  const target = describedIn(call.arguments);
  if (!target?.path.startsWith('/')) return [];
  const bytes = takenBytes(call);
  const offset = offsets.get(target.descriptor) ?? 0;
  if (offset < 0) return [{ kind: 'append', path: target.path, bytes }];
  offsets.set(target.descriptor, offset + bytes.length);
  return [{ kind: 'write', path: target.path, offset, bytes }];
}

/** Bytes the kernel took, which may be fewer than it was given. */
function takenBytes({ arguments: given, result }: SystemCall): Buffer {
  const all = Buffer.concat([...stringsIn(given.replace(/^\d+<[^>]*>/, ''))]);
  return result === '' ? all : all.subarray(0, Number.parseInt(result, 10));
}

/** Writes through memory are invisible here. SQLite's index of its log is: it is made anew from the log, and is left out of every image. */
function mapped({ arguments: given }: SystemCall): readonly FileChange[] {
  if (!given.includes('MAP_SHARED') || !given.includes('PROT_WRITE')) return [];
  const file = describedIn(given.split(', ')[4] ?? '');
  if (!file?.path.startsWith('/') || isRebuilt(file.path)) return [];
  throw new Error(`writes to ${file.path} through memory cannot be traced`);
}

/** Whether a file is made anew at every start, so that what it holds does not matter. */
export function isRebuilt(path: string): boolean {
  return path.endsWith('-shm');
}

/** Paths in the order they stand; relative ones begin where their directory's descriptor says. */
function pathsIn(given: string): readonly string[] {
  let base = '/';
  return given.split(', ').flatMap((part) => {
    base = describedIn(part)?.path ?? base;
    return part.startsWith('"') ? stringsIn(part).map((bytes) => resolve(base, bytes.toString('utf8'))) : [];
  });
}
