import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { CoPilotError } from '../../../protocol/errors.ts';
import { inMemoryWhereSmall, type Piece } from './piece.ts';

/** What becomes a member. */
export interface ZipSource {
  readonly name: string;
  readonly content: Piece;
}

export interface ZipMember {
  readonly name: string;
  readonly size: number;
  readonly md5: string;
}

export interface Zip {
  readonly members: readonly ZipMember[];
  readonly archive: Piece;
}

/** As large as an archive may be without the 64-bit form, which AliEn's readers do not know. */
const MOST_BYTES = 4 * 1024 ** 3 - 1024 * 1024;
const UTF8_NAMES = 0x08_00;

/**
 * An archive that holds the members as they are: ROOT reads files out of an archive in place, so nothing is compressed. Throws
 * `QUOTA_EXCEEDED` above 4 GiB.
 */
export async function zipOf(sources: readonly ZipSource[]): Promise<Zip> {
  const total = sources.reduce((sum, { name, content }) => sum + content.size + 2 * (name.length + 128), 0);
  if (total > MOST_BYTES) throw new CoPilotError('QUOTA_EXCEEDED', 'an archive is larger than 4 GiB');
  const entries: Entry[] = [];
  let at = 0;
  for (const source of sources) {
    const entry = { ...source, ...(await digestsOf(source.content)), at };
    entries.push(entry);
    at += localHeader(entry).length + source.content.size;
  }
  const central = Buffer.concat(entries.map(directoryHeader));
  const end = Buffer.concat([central, endOf(entries.length, central.length, at)]);
  return {
    members: entries.map(({ name, content, md5 }) => ({ name, size: content.size, md5 })),
    archive: await inMemoryWhereSmall({ size: at + end.length, chunks: () => chunksOf(entries, end) }),
  };
}

interface Entry extends ZipSource {
  readonly crc: number;
  readonly md5: string;
  /** Where its local header begins. */
  readonly at: number;
}

async function* chunksOf(entries: readonly Entry[], end: Buffer): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    yield localHeader(entry);
    yield* entry.content.chunks();
  }
  yield end;
}

async function digestsOf(content: Piece): Promise<{ readonly crc: number; readonly md5: string }> {
  const hash = createHash('md5');
  let crc = 0;
  for await (const chunk of content.chunks()) {
    crc = crc32(chunk, crc);
    hash.update(chunk);
  }
  return { crc, md5: hash.digest('hex') };
}

/** Version, flags, method, time, date, CRC, both sizes, length of the name, no extra field: the same in both headers. */
function common({ name, content: { size }, crc }: Entry): Buffer {
  const bytes = Buffer.alloc(26);
  bytes.writeUInt16LE(20, 0);
  bytes.writeUInt16LE(UTF8_NAMES, 2);
  // 1980-01-01, the earliest date there is: the same members give the same archive.
  bytes.writeUInt16LE(0x21, 8);
  bytes.writeUInt32LE(crc, 10);
  bytes.writeUInt32LE(size, 14);
  bytes.writeUInt32LE(size, 18);
  bytes.writeUInt16LE(Buffer.byteLength(name), 22);
  return bytes;
}

function localHeader(entry: Entry): Buffer {
  return Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common(entry), Buffer.from(entry.name)]);
}

function directoryHeader(entry: Entry): Buffer {
  const tail = Buffer.alloc(14);
  tail.writeUInt32LE(0o100644 * 65_536, 6);
  tail.writeUInt32LE(entry.at, 10);
  const made = Buffer.from([20, 3]);
  return Buffer.concat([
    Buffer.from('PK\x01\x02', 'latin1'),
    made,
    common(entry),
    tail,
    Buffer.from(entry.name),
  ]);
}

function endOf(count: number, size: number, offset: number): Buffer {
  const bytes = Buffer.alloc(22);
  bytes.write('PK\x05\x06', 'latin1');
  bytes.writeUInt16LE(count, 8);
  bytes.writeUInt16LE(count, 10);
  bytes.writeUInt32LE(size, 12);
  bytes.writeUInt32LE(offset, 16);
  return bytes;
}
