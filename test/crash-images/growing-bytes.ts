/** The bytes of a file that is written in place. */
export interface GrowingBytes {
  length(): number;
  /** Beyond the end, what lies between is zeros. */
  write(bytes: Buffer, offset: number): void;
  /** Cuts off, or adds zeros. */
  resize(length: number): void;
  copy(): Buffer;
}

export function createGrowingBytes(initial: Buffer): GrowingBytes {
  let room = Buffer.from(initial);
  let length = initial.length;

  const resize = (wanted: number): void => {
    if (wanted > room.length) {
      const larger = Buffer.alloc(Math.max(wanted, 2 * room.length));
      room.copy(larger, 0, 0, length);
      room = larger;
    } else if (wanted > length) room.fill(0, length, wanted);
    length = wanted;
  };

  return {
    length: () => length,
    resize,
    write(bytes, offset) {
      if (offset + bytes.length > length) resize(offset + bytes.length);
      bytes.copy(room, offset);
    },
    copy: () => Buffer.from(room.subarray(0, length)),
  };
}
