import { createGrowingBytes, type GrowingBytes } from './growing-bytes.ts';
import type { FileChange, TracedChange } from './file-change.ts';

/** Files below a directory by their path in it; a directory is null. */
export type Tree = ReadonlyMap<string, Buffer | null>;

/** Whether a change that nobody synced reached the disk all the same. */
export type Survives = () => boolean;

/** The least a disk may keep: what was synced. */
export const ONLY_SYNCED: Survives = () => false;

/** Bytes that a disk writes as one. */
const SECTOR = 512;

type ByteChange =
  | { readonly at: number; readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly at: number; readonly kind: 'truncate'; readonly length: number };

interface FileNode {
  readonly kind: 'file';
  readonly live: GrowingBytes;
  readonly durable: GrowingBytes;
  unsynced: ByteChange[];
}

/** Names that change together: a rename within a directory is one. */
interface NameChange {
  readonly at: number;
  readonly names: readonly (readonly [name: string, node: Node | undefined])[];
}

interface DirectoryNode {
  readonly kind: 'directory';
  readonly live: Map<string, Node>;
  readonly durable: Map<string, Node>;
  unsynced: NameChange[];
}

type Node = FileNode | DirectoryNode;

/**
 * A directory on a disk that may lose power. Bytes are durable once a sync of their file, begun after they were written, has ended;
 * names once a sync of their directory has.
 */
export interface PowerCutDisk {
  /** Reached that line of the trace. */
  runTo(line: number): void;
  /** What a program would read now. */
  live(): Tree;
  /** What may be there after a power cut now. */
  image(survives: Survives): Tree;
}

/** `base` is what lay in the directory before, all of it durable. */
export function createPowerCutDisk(root: string, base: Tree, changes: readonly TracedChange[]): PowerCutDisk {
  const top = newDirectory();
  for (const [path, bytes] of base) addDurably(top, partsOf(path), bytes);
  const steps = stepsOf(changes);
  let next = 0;

  const partsBelow = (path: string): readonly string[] | undefined =>
    path === root ? [] : path.startsWith(`${root}/`) ? partsOf(path.slice(root.length + 1)) : undefined;
  const nodeAt = (path: string): Node | undefined => {
    const parts = partsBelow(path);
    return parts && find(top, parts);
  };
  const parentOf = (path: string): Parent | undefined => {
    const parts = partsBelow(path);
    const directory = parts && find(top, parts.slice(0, -1));
    const name = parts?.at(-1);
    return directory?.kind === 'directory' && name !== undefined ? { directory, name } : undefined;
  };

  const apply = (change: FileChange, at: number): void => {
    switch (change.kind) {
      case 'write':
      case 'append': {
        const file = nodeAt(change.path);
        if (file?.kind !== 'file') return; // unlinked while open: nobody will find it again
        const offset = change.kind === 'write' ? change.offset : file.live.length();
        record(file, { at, kind: 'write', offset, bytes: change.bytes });
        return;
      }
      case 'truncate': {
        const file = nodeAt(change.path);
        if (file?.kind === 'file') record(file, { at, kind: 'truncate', length: change.length });
        return;
      }
      case 'create': {
        const parent = parentOf(change.path);
        if (parent !== undefined && !parent.directory.live.has(parent.name))
          rename(parent.directory, { at, names: [[parent.name, newFile(Buffer.alloc(0))]] });
        return;
      }
      case 'make-directory': {
        const parent = parentOf(change.path);
        if (parent !== undefined) rename(parent.directory, { at, names: [[parent.name, newDirectory()]] });
        return;
      }
      case 'remove': {
        const parent = parentOf(change.path);
        if (parent !== undefined) rename(parent.directory, { at, names: [[parent.name, undefined]] });
        return;
      }
      case 'link':
      case 'rename':
        move(change, at);
        return;
      case 'sync':
        return; // takes effect when it ends, for what came before it began
    }
  };

  const move = ({ kind, from, to }: Extract<FileChange, { kind: 'link' | 'rename' }>, at: number): void => {
    const node = nodeAt(from);
    const source = parentOf(from);
    const target = parentOf(to);
    if (target === undefined || node === undefined)
      throw new Error(`${kind} of ${from} to ${to} leaves the directory or begins outside of it`);
    const gone = [source?.name ?? '', undefined] as const;
    const come = [target.name, node] as const;
    if (kind === 'link') rename(target.directory, { at, names: [come] });
    else if (source?.directory === target.directory) rename(target.directory, { at, names: [gone, come] });
    else {
      rename(target.directory, { at, names: [come] });
      if (source !== undefined) rename(source.directory, { at, names: [gone] });
    }
  };

  return {
    runTo(line) {
      for (; next < steps.length; next += 1) {
        const step = steps[next];
        if (step === undefined || step.at > line) return;
        const { change, start } = step.traced;
        if (change.kind !== 'sync') apply(change, step.at);
        else {
          const node = nodeAt(change.path);
          if (node !== undefined) sync(node, start);
        }
      }
    },
    live: () =>
      treeOf(
        top,
        (file) => file.live.copy(),
        (directory) => directory.live,
      ),
    image: (survives) =>
      treeOf(
        top,
        (file) => survivingBytes(file, survives),
        (directory) => survivingNames(directory, survives),
      ),
  };
}

interface Parent {
  readonly directory: DirectoryNode;
  readonly name: string;
}

interface Step {
  readonly at: number;
  readonly traced: TracedChange;
}

/** Everything takes effect when its call ends; one whose end the trace does not hold never did. */
function stepsOf(changes: readonly TracedChange[]): readonly Step[] {
  return changes
    .flatMap((traced) => (traced.end === undefined ? [] : [{ at: traced.end, traced }]))
    .sort((one, other) => one.at - other.at);
}

function record(file: FileNode, change: ByteChange): void {
  applyTo(file.live, change);
  file.unsynced.push(change);
}

function applyTo(bytes: GrowingBytes, change: ByteChange): void {
  if (change.kind === 'truncate') bytes.resize(change.length);
  else bytes.write(change.bytes, change.offset);
}

function rename(directory: DirectoryNode, change: NameChange): void {
  setNames(directory.live, change);
  directory.unsynced.push(change);
}

function setNames(entries: Map<string, Node>, { names }: NameChange): void {
  for (const [name, node] of names) {
    if (node === undefined) entries.delete(name);
    else entries.set(name, node);
  }
}

/** Makes durable what came before `since`. */
function sync(node: Node, since: number): void {
  if (node.kind === 'file') {
    for (const change of node.unsynced) if (change.at <= since) applyTo(node.durable, change);
    node.unsynced = node.unsynced.filter((change) => change.at > since);
  } else {
    for (const change of node.unsynced) if (change.at <= since) setNames(node.durable, change);
    node.unsynced = node.unsynced.filter((change) => change.at > since);
  }
}

/** Each sector of each write survives by itself: a write may be torn. */
function survivingBytes(file: FileNode, survives: Survives): Buffer {
  const bytes = createGrowingBytes(file.durable.copy());
  for (const change of file.unsynced) {
    for (const part of sectorsOf(change)) if (survives()) applyTo(bytes, part);
  }
  return bytes.copy();
}

function sectorsOf(change: ByteChange): readonly ByteChange[] {
  if (change.kind === 'truncate') return [change];
  const parts: ByteChange[] = [];
  for (let done = 0; done < change.bytes.length; ) {
    const offset = change.offset + done;
    const length = SECTOR - (offset % SECTOR);
    parts.push({ ...change, offset, bytes: change.bytes.subarray(done, done + length) });
    done += length;
  }
  return parts;
}

function survivingNames(directory: DirectoryNode, survives: Survives): ReadonlyMap<string, Node> {
  const entries = new Map(directory.durable);
  for (const change of directory.unsynced) if (survives()) setNames(entries, change);
  return entries;
}

function treeOf(
  top: DirectoryNode,
  bytesOf: (file: FileNode) => Buffer,
  entriesOf: (directory: DirectoryNode) => ReadonlyMap<string, Node>,
): Tree {
  const tree = new Map<string, Buffer | null>();
  const walk = (directory: DirectoryNode, before: string): void => {
    for (const [name, node] of entriesOf(directory)) {
      const path = before + name;
      tree.set(path, node.kind === 'file' ? bytesOf(node) : null);
      if (node.kind === 'directory') walk(node, `${path}/`);
    }
  };
  walk(top, '');
  return tree;
}

function find(top: DirectoryNode, parts: readonly string[]): Node | undefined {
  let node: Node | undefined = top;
  for (const part of parts) node = node?.kind === 'directory' ? node.live.get(part) : undefined;
  return node;
}

function addDurably(top: DirectoryNode, parts: readonly string[], bytes: Buffer | null): void {
  const name = parts.at(-1) ?? '';
  let directory = top;
  for (const part of parts.slice(0, -1)) {
    const node = directory.live.get(part) ?? newDirectory();
    directory.live.set(part, node);
    directory.durable.set(part, node);
    if (node.kind !== 'directory') throw new Error(`${part} is no directory`);
    directory = node;
  }
  if (bytes === null && directory.live.has(name)) return;
  const node = bytes === null ? newDirectory() : newFile(bytes);
  directory.live.set(name, node);
  directory.durable.set(name, node);
}

function newFile(bytes: Buffer): FileNode {
  return { kind: 'file', live: createGrowingBytes(bytes), durable: createGrowingBytes(bytes), unsynced: [] };
}

function newDirectory(): DirectoryNode {
  return { kind: 'directory', live: new Map(), durable: new Map(), unsynced: [] };
}

function partsOf(path: string): readonly string[] {
  return path.split('/');
}
