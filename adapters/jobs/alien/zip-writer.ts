import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { CoPilotError } from '../../../protocol/errors.ts';

/** A stretch of a file on this host that becomes a member. */
export interface ZipSource {
  readonly name: string;
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

export interface ZipMember {
  readonly name: string;
  readonly size: number;
  readonly md5: string;
}

/** As large as an archive may be without the 64-bit form, which AliEn's readers do not know. */
const MOST_BYTES = 4 * 1024 ** 3 - 1024 * 1024;
const UTF8_NAMES = 0x08_00;

/**
 * Writes an archive that holds the members as they are: ROOT reads files out of an archive in place, so nothing is compressed. Throws
 * `QUOTA_EXCEEDED` above 4 GiB.
 */
export async function writeZip(path: string, sources: readonly ZipSource[]): Promise<readonly ZipMember[]> {
  const total = sources.reduce((sum, source) => sum + source.size + 2 * (source.name.length + 128), 0);
  if (total > MOST_BYTES) throw new CoPilotError('QUOTA_EXCEEDED', 'an archive is larger than 4 GiB');
  const file = await open(path, 'wx', 0o600);
  const members: ZipMember[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  try {
    for (const source of sources) {
      const { crc, md5 } = await digestsOf(source);
      const local = localHeader(source, crc);
      directory.push(directoryHeader(source, crc, at));
      await file.write(local);
      for await (const chunk of bytesOf(source)) await file.write(chunk);
      at += local.length + source.size;
      members.push({ name: source.name, size: source.size, md5 });
    }
    const central = Buffer.concat(directory);
    await file.write(Buffer.concat([central, endOf(sources.length, central.length, at)]));
  } finally {
    await file.close();
  }
  return members;
}

export function bytesOf({ path, offset, size }: Omit<ZipSource, 'name'>): AsyncIterable<Uint8Array> {
  if (size === 0) return (async function* () {})();
  return createReadStream(path, { start: offset, end: offset + size - 1 });
}

async function digestsOf(source: ZipSource): Promise<{ readonly crc: number; readonly md5: string }> {
  const hash = createHash('md5');
  let crc = 0;
  for await (const chunk of bytesOf(source)) {
    crc = crc32(chunk, crc);
    hash.update(chunk);
  }
  return { crc, md5: hash.digest('hex') };
}

/** Version, flags, method, time, date, CRC, both sizes, length of the name, no extra field: the same in both headers. */
function common({ name, size }: ZipSource, crc: number): Buffer {
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

function localHeader(source: ZipSource, crc: number): Buffer {
  return Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common(source, crc), Buffer.from(source.name)]);
}

function directoryHeader(source: ZipSource, crc: number, offset: number): Buffer {
  const tail = Buffer.alloc(14);
  tail.writeUInt32LE(0o100644 * 65_536, 6);
  tail.writeUInt32LE(offset, 10);
  const made = Buffer.from([20, 3]);
  return Buffer.concat([
    Buffer.from('PK\x01\x02', 'latin1'),
    made,
    common(source, crc),
    tail,
    Buffer.from(source.name),
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
