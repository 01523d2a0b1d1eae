import { CoPilotError } from '../../../protocol/errors.ts';

/** Bytes from `start` up to but not including `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const SINGLE = /^bytes=(\d{0,15})-(\d{0,15})$/;

/**
 * The one range a request asks for (RFC 9110 section 14.1.2); undefined, which is the whole, where it asks for none, for
 * several or in other words. Throws `RANGE_NOT_SATISFIABLE` where the file has no byte of it.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const [, first, last] = (header === undefined ? undefined : SINGLE.exec(header)) ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  if (first === '') return nonEmpty({ start: Math.max(0, size - Number(last)), end: size });
  if (last !== '' && Number(last) < Number(first)) return undefined;
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  return nonEmpty({ start: Number(first), end });
}

function nonEmpty(range: ByteRange): ByteRange {
  if (range.start < range.end) return range;
  throw new CoPilotError('RANGE_NOT_SATISFIABLE', 'the file does not go that far');
}
