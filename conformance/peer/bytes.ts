export function concatenate(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** The bytes with the lowest bit of one of them the other way; a negative place counts from the end. */
export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}

/** The bytes with one of them replaced. */
export function withByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[at] = value;
  return copy;
}

export function cutBy(bytes: Uint8Array, count: number): Uint8Array {
  return bytes.slice(0, Math.max(0, bytes.length - count));
}

export function longerBy(bytes: Uint8Array, count: number): Uint8Array {
  return concatenate(bytes, new Uint8Array(count));
}
