import { CoPilotError } from '../../../protocol/errors.ts';
import type { DivisiblePiece, Piece } from './piece.ts';

/** A regular file inside a tar. */
export interface TarMember {
  readonly name: string;
  readonly content: Piece;
}

const BLOCK = 512;
const NO_BYTES = Buffer.alloc(BLOCK);
const MOST_MEMBERS = 4096;
const MOST_NAME_BYTES = 4096;

/**
 * Lists the regular files of a tar that an agent made; nothing is unpacked. Links, devices and directories are passed over. Throws
 * `NAME_REFUSED` for a name that is absolute, leads upwards or has anything but printable characters, and `RESULT_REFUSED` for what is no
 * tar, cut short, names a file twice, or holds more than 4096 files.
 */
export async function listTar(tar: DivisiblePiece): Promise<readonly TarMember[]> {
  const end = tar.size;
  const members = new Map<string, TarMember>();
  let longName: string | undefined;
  let headers = 0;
  for (let at = 0; at + BLOCK <= end; ) {
    const block = await read(tar, at, BLOCK);
    if (block.equals(NO_BYTES)) break;
    if (++headers > 2 * MOST_MEMBERS) throw bad(`more than ${MOST_MEMBERS} files`);
    const { name, size, type } = headerOf(block);
    const offset = at + BLOCK;
    if (offset + size > end) throw bad('cut short');
    if (type === 'L') longName = await longNameAt(tar, offset, size);
    else if (type === 'x') longName = paxPath(await read(tar, offset, bounded(size))) ?? longName;
    else {
      if (type === '0' || type === '\0')
        add(members, { name: plainName(longName ?? name), content: tar.part(offset, size) });
      longName = undefined;
    }
    at = offset + Math.ceil(size / BLOCK) * BLOCK;
  }
  return [...members.values()];
}

function add(members: Map<string, TarMember>, member: TarMember): void {
  if (members.has(member.name)) throw bad('a file is in it twice');
  if (members.size >= MOST_MEMBERS) throw bad(`more than ${MOST_MEMBERS} files`);
  members.set(member.name, member);
}

function headerOf(block: Buffer): { readonly name: string; readonly size: number; readonly type: string } {
  const field = (from: number, length: number): string => {
    const text = block.toString('latin1', from, from + length);
    return text.split('\0')[0] ?? '';
  };
  if (Number.parseInt(field(148, 8), 8) !== sumOf(block)) throw bad('no tar');
  const prefix = field(257, 5) === 'ustar' ? field(345, 155) : '';
  const name = field(0, 100);
  return {
    name: prefix === '' || block[345] === 0 ? name : `${prefix}/${name}`,
    size: sizeIn(block),
    type: String.fromCharCode(block[156] ?? 0),
  };
}

/** Of all bytes, the sum's own field taken for spaces. */
function sumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  return sum;
}

/** Octal digits, or, above 8 GiB, GNU's binary number. */
function sizeIn(block: Buffer): number {
  if (((block[124] ?? 0) & 0x80) !== 0) {
    const size = block.subarray(125, 136).reduce((total, byte) => total * 256 + byte, 0);
    if (Number.isSafeInteger(size)) return size;
    throw bad('no tar');
  }
  const text = block.toString('latin1', 124, 136).replace(/[\0 ]/g, '');
  if (!/^[0-7]{0,12}$/.test(text)) throw bad('no tar');
  return text === '' ? 0 : Number.parseInt(text, 8);
}

async function longNameAt(tar: DivisiblePiece, offset: number, size: number): Promise<string> {
  const text = (await read(tar, offset, bounded(size))).toString('utf8');
  return text.split('\0')[0] ?? '';
}

/** The `path` of an extended header: lines of `LENGTH KEY=VALUE`. */
function paxPath(bytes: Buffer): string | undefined {
  return /(?:^|\n)[0-9]+ path=([^\n]*)\n/.exec(bytes.toString('utf8'))?.[1];
}

function bounded(size: number): number {
  if (size > MOST_NAME_BYTES) throw bad('a name too long');
  return size;
}

function plainName(text: string): string {
  const name = text.replace(/^(?:\.\/)+/, '');
  const parts = name.split('/');
  const isPlain = /^[!-~]{1,255}$/.test(name) && !/["\\;#?]/.test(name);
  if (!isPlain || parts.some((part) => part === '' || part === '..' || part === '.'))
    throw new CoPilotError('NAME_REFUSED', `an output is called ${JSON.stringify(text.slice(0, 80))}`);
  return name;
}

async function read(tar: DivisiblePiece, offset: number, length: number): Promise<Buffer> {
  const bytes = await tar.read(offset, length);
  if (bytes.length !== length) throw bad('cut short');
  return bytes;
}

function bad(why: string): CoPilotError {
  return new CoPilotError('RESULT_REFUSED', `the collected outputs are unusable: ${why}`);
}
