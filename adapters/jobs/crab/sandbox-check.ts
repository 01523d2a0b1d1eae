import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { CoPilotError } from '../../../protocol/errors.ts';

export interface SandboxBounds {
  readonly members: number;
  /** Of all members together, unpacked. */
  readonly bytes: number;
}

/** As much as CMS lets a sandbox be packed is 120 MB; unpacked, twenty times as much is a bomb. */
const SANDBOX_BOUNDS: SandboxBounds = { members: 50_000, bytes: 2 * 1024 ** 3 };

const BLOCK = 512;
/** Of a long name or an extended header. */
const MAX_EXTRA_BYTES = 64 * 1024;

/**
 * Reads an archive (tar, packed by gzip) to its end without writing a byte of it. Rejects with `INVALID_REQUEST` where it is none, is
 * more than its bounds, or has a member that is neither a file nor a folder below the place it is unpacked in.
 */
export async function checkSandbox(packed: Readable, bounds: SandboxBounds = SANDBOX_BOUNDS): Promise<void> {
  const reader = createTarReader(bounds);
  try {
    await pipeline(packed, createGunzip(), async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) reader.take(chunk);
    });
  } catch (caught) {
    if (caught instanceof CoPilotError) throw caught;
    throw wrong('it is no archive packed by gzip, or not all of one');
  }
  reader.end();
}

interface TarReader {
  take(chunk: Uint8Array): void;
  end(): void;
}

/** Headers one after the other; contents are counted, and kept where they are a name. */
function createTarReader(bounds: SandboxBounds): TarReader {
  let head = Buffer.alloc(0);
  let toSkip = 0;
  let bytes = 0;
  let members = 0;
  let zeroBlocks = 0;
  /** A content that is read: a name for the member after it. */
  let wanted: { readonly type: string; left: number; readonly chunks: Uint8Array[] } | undefined;
  let longName: string | undefined;

  function member(block: Buffer): void {
    if (!isChecksumRight(block)) throw wrong('a header in it is damaged');
    const type = String.fromCharCode(block[156] ?? 0);
    const size = sizeOf(block);
    if (type === 'L' || type === 'x' || type === 'K' || type === 'g') {
      if (size > MAX_EXTRA_BYTES) throw wrong('a name in it is too long');
      wanted = { type, left: size, chunks: [] };
      toSkip = padded(size);
      return;
    }
    members += 1;
    if (members > bounds.members) throw wrong(`it has more than ${bounds.members} members`);
    const name = longName ?? nameOf(block);
    longName = undefined;
    if (type !== '0' && type !== '\0' && type !== '5') throw wrong(`${shown(name)} is ${kindOf(type)}`);
    if (!isBelow(name)) throw wrong(`${shown(name)} does not lie below the place that it is unpacked in`);
    bytes += size;
    if (bytes > bounds.bytes) throw wrong(`it unpacks to more than ${bounds.bytes} bytes`);
    toSkip = type === '5' ? 0 : padded(size);
  }

  function extra({ type, chunks }: { readonly type: string; readonly chunks: readonly Uint8Array[] }): void {
    const text = Buffer.concat(chunks).toString('utf8');
    if (type === 'L') longName = text.replace(/\0.*$/s, '');
    if (type !== 'x' && type !== 'g') return;
    const records = paxRecords(text);
    if (records.has('linkpath')) throw wrong('it has a link');
    if (records.has('size')) throw wrong('a member of it says its size twice');
    const path = records.get('path');
    if (path !== undefined && type === 'g') throw wrong('it names all of its members at once');
    if (path !== undefined) longName = path;
  }

  function skip(chunk: Uint8Array): Uint8Array {
    const taken = Math.min(toSkip, chunk.length);
    if (wanted !== undefined) {
      const kept = Math.min(wanted.left, taken);
      wanted.chunks.push(chunk.slice(0, kept));
      wanted.left -= kept;
    }
    toSkip -= taken;
    if (toSkip === 0 && wanted !== undefined) {
      const done = wanted;
      wanted = undefined;
      extra(done);
    }
    return chunk.subarray(taken);
  }

  return {
    take(chunk) {
      let rest = chunk;
      while (rest.length > 0) {
        if (toSkip > 0) {
          rest = skip(rest);
          continue;
        }
        // What follows the two blocks at the end is padding, and counts against the bound.
        if (zeroBlocks >= 2) {
          bytes += rest.length;
          if (bytes > bounds.bytes) throw wrong(`it unpacks to more than ${bounds.bytes} bytes`);
          return;
        }
        const lacking = BLOCK - head.length;
        head = Buffer.concat([head, rest.subarray(0, lacking)]);
        rest = rest.subarray(lacking);
        if (head.length < BLOCK) return;
        const block = head;
        head = Buffer.alloc(0);
        if (block.every((byte) => byte === 0)) zeroBlocks += 1;
        else if (zeroBlocks > 0) throw wrong('it goes on after its end');
        else member(block);
      }
    },
    end() {
      if (toSkip > 0 || head.length > 0 || zeroBlocks < 1) throw wrong('it ends in the middle');
      if (members === 0) throw wrong('it is empty');
    },
  };
}

function isBelow(name: string): boolean {
  if (name === '' || name.startsWith('/') || name.includes('\0') || name.includes('\\')) return false;
  return !name.split('/').includes('..');
}

const KINDS: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a device',
  '4': 'a device',
  '6': 'a pipe',
};

function kindOf(type: string): string {
  return KINDS[type] ?? 'neither a file nor a folder';
}

function nameOf(block: Buffer): string {
  const name = textAt(block, 0, 100);
  const prefix = textAt(block, 257, 5) === 'ustar' ? textAt(block, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function textAt(block: Buffer, at: number, length: number): string {
  return block
    .subarray(at, at + length)
    .toString('utf8')
    .replace(/\0.*$/s, '');
}

/** Octal digits; sizes in base 256 are those of files beyond any bound. */
function sizeOf(block: Buffer): number {
  const digits = textAt(block, 124, 12).trim();
  if (!/^[0-7]{1,11}$/.test(digits)) throw wrong('a member of it has no usable size');
  return Number.parseInt(digits, 8);
}

function isChecksumRight(block: Buffer): boolean {
  const said = Number.parseInt(textAt(block, 148, 8).trim(), 8);
  let sum = 0;
  for (const [at, byte] of block.entries()) sum += at >= 148 && at < 156 ? 0x20 : byte;
  return said === sum;
}

function paxRecords(text: string): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, key, value] = /^[0-9]+ ([^=]+)=(.*)$/s.exec(line) ?? [];
    if (key !== undefined && value !== undefined) records.set(key, value);
  }
  return records;
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 80));
}

function wrong(why: string): CoPilotError {
  return new CoPilotError('INVALID_REQUEST', `the sandbox is refused: ${why}`);
}
