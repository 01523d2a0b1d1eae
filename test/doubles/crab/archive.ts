import { gzipSync } from 'node:zlib';

/** One member of an archive, honest or not. */
export interface Member {
  readonly name: string;
  readonly content?: string | Uint8Array;
  /** As tar writes it: `0` file, `1` hard link, `2` symbolic link, `3` device, `5` directory … */
  readonly type?: string;
  readonly link?: string;
  readonly mode?: number;
  /** Said instead of the content's own. */
  readonly size?: number;
}

const BLOCK = 512;

/** A tar archive (POSIX ustar), packed by gzip. */
export function makeArchive(members: readonly Member[]): Buffer {
  return gzipSync(Buffer.concat([...members.map(blocks), Buffer.alloc(2 * BLOCK)]));
}

function blocks({ name, content = '', type = '0', link = '', mode = 0o644, size }: Member): Buffer {
  const bytes = Buffer.from(content);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  header.write(name, 0, 100, 'utf8');
  header.write(octal(mode, 8), 100, 'latin1');
  header.write(octal(0, 8), 108, 'latin1');
  header.write(octal(0, 8), 116, 'latin1');
  header.write(octal(size ?? bytes.length, 12), 124, 'latin1');
  header.write(octal(0, 12), 136, 'latin1');
  header.write(' '.repeat(8), 148, 'latin1');
  header.write(type, 156, 'latin1');
  header.write(link, 157, 100, 'utf8');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}
