import type { RawData } from 'ws';

/** Close code for a service that another connection of the same name has replaced. */
export const REPLACED = 4000;

/** A message's bytes, whatever form the library gives them; a view, not a copy, where it is in one piece. */
export function bytesOf(data: RawData): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  const buffer = Array.isArray(data) ? Buffer.concat(data) : data;
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
