/** The `cksum` of POSIX: CRC-32 with its polynomial forwards, over the bytes and then their number. */
export interface RunningCksum {
  update(bytes: Uint8Array): void;
  /** In decimal digits, as the command prints it. */
  value(): string;
}

const TABLE = makeTable();

export function startCksum(): RunningCksum {
  let sum = 0;
  let length = 0;
  const take = (value: number, byte: number): number =>
    ((value << 8) ^ (TABLE[((value >>> 24) ^ byte) & 0xff] ?? 0)) >>> 0;
  return {
    update(bytes) {
      for (const byte of bytes) sum = take(sum, byte);
      length += bytes.length;
    },
    value() {
      let ended = sum;
      for (let left = length; left > 0; left = Math.floor(left / 256)) ended = take(ended, left % 256);
      return String(~ended >>> 0);
    },
  };
}

function makeTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index << 24;
    for (let bit = 0; bit < 8; bit++)
      value = (value & 0x8000_0000) === 0 ? value << 1 : (value << 1) ^ 0x04c1_1db7;
    return value >>> 0;
  });
}
