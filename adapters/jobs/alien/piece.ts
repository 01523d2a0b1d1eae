import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { MOST_IN_MEMORY } from '../kit/bridge-call.ts';

/** Bytes that are read as often as they are wanted, wherever on this host they are. */
export interface Piece {
  readonly size: number;
  /** All of them, from the beginning. */
  chunks(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** A piece of which a part can be had. */
export interface DivisiblePiece extends Piece {
  /** Fewer than `length` bytes where it ends before. */
  read(offset: number, length: number): Promise<Buffer>;
  part(offset: number, size: number): Piece;
}

export function bytesPiece(bytes: Buffer): DivisiblePiece {
  return {
    size: bytes.length,
    chunks: () => [bytes],
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
    part: (offset, size) => bytesPiece(bytes.subarray(offset, offset + size)),
  };
}

/** The file stays as it is for as long as the piece is used. */
export async function openFilePiece(path: string): Promise<DivisiblePiece & { close(): Promise<void> }> {
  const file: FileHandle = await open(path, 'r');
  const { size } = await file.stat();
  const part = (offset: number, length: number): Piece => ({
    size: length,
    chunks: () => (length === 0 ? [] : createReadStream(path, { start: offset, end: offset + length - 1 })),
  });
  return {
    ...part(0, size),
    async read(offset, length) {
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      return bytes.subarray(0, bytesRead);
    },
    part,
    close: () => file.close(),
  };
}

/** The same bytes: put together now where they are few. */
export async function inMemoryWhereSmall(piece: Piece): Promise<Piece> {
  if (piece.size > MOST_IN_MEMORY) return piece;
  const chunks: Uint8Array[] = [];
  for await (const chunk of piece.chunks()) chunks.push(chunk);
  return bytesPiece(Buffer.concat(chunks));
}

/** In hexadecimal. */
export async function md5Of(piece: Pick<Piece, 'chunks'>): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of piece.chunks()) hash.update(chunk);
  return hash.digest('hex');
}
