/** The bytes with one bit the other way. */
export function flipped(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = new Uint8Array(bytes);
  const place = at < 0 ? copy.length + at : at;
  copy[place] = (copy[place] ?? 0) ^ (1 << bit);
  return copy;
}

/** The bytes with others in place of some. */
export function replaced(bytes: Uint8Array, at: number, by: Uint8Array | readonly number[]): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy.set(by, at < 0 ? copy.length + at : at);
  return copy;
}

/** The bytes without the last `count`. */
export function shortened(bytes: Uint8Array, count: number): Uint8Array {
  return bytes.slice(0, Math.max(0, bytes.length - count));
}

/** The bytes and more zeros. */
export function lengthened(bytes: Uint8Array, count: number): Uint8Array {
  const longer = new Uint8Array(bytes.length + count);
  longer.set(bytes);
  return longer;
}
