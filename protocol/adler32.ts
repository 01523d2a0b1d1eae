const MODULUS = 65_521;
/** Bytes after which the sums must be reduced, or they outgrow 32 bits; sixteen are taken at a time. */
const RUN = 3_792;

/** The Adler-32 of bytes (RFC 1950 section 9); goes on from that of the bytes before them, or from 1. */
export function adler32(bytes: Uint8Array, before = 1): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sums: Sums = { low: before & 0xffff, high: before >>> 16 };
  for (let at = 0; at < bytes.length; at += RUN)
    sums = reduced(view, at, Math.min(at + RUN, bytes.length), sums);
  return ((sums.high << 16) | sums.low) >>> 0;
}

/** As frameworks write it: eight digits of lower-case hex. */
export function adler32Hex(sum: number): string {
  return sum.toString(16).padStart(8, '0');
}

interface Sums {
  readonly low: number;
  readonly high: number;
}

function reduced(view: DataView, from: number, to: number, { low, high }: Sums): Sums {
  let at = from;
  let a = low;
  let b = high;
  // One step for sixteen bytes, their weights multiplied in: byte by byte each addition waits for the one before it.
  for (; at + 16 <= to; at += 16) {
    const b0 = view.getUint8(at);
    const b1 = view.getUint8(at + 1);
    const b2 = view.getUint8(at + 2);
    const b3 = view.getUint8(at + 3);
    const b4 = view.getUint8(at + 4);
    const b5 = view.getUint8(at + 5);
    const b6 = view.getUint8(at + 6);
    const b7 = view.getUint8(at + 7);
    const b8 = view.getUint8(at + 8);
    const b9 = view.getUint8(at + 9);
    const b10 = view.getUint8(at + 10);
    const b11 = view.getUint8(at + 11);
    const b12 = view.getUint8(at + 12);
    const b13 = view.getUint8(at + 13);
    const b14 = view.getUint8(at + 14);
    const b15 = view.getUint8(at + 15);
    b =
      (b +
        16 * a +
        16 * b0 +
        15 * b1 +
        14 * b2 +
        13 * b3 +
        12 * b4 +
        11 * b5 +
        10 * b6 +
        9 * b7 +
        8 * b8 +
        7 * b9 +
        6 * b10 +
        5 * b11 +
        4 * b12 +
        3 * b13 +
        2 * b14 +
        b15) |
      0;
    a = (a + b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7 + b8 + b9 + b10 + b11 + b12 + b13 + b14 + b15) | 0;
  }
  for (; at < to; at += 1) {
    a += view.getUint8(at);
    b = (b + a) | 0;
  }
  return { low: (a >>> 0) % MODULUS, high: (b >>> 0) % MODULUS };
}
