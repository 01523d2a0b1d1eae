const MODULUS = 65_521;
/** Bytes after which the sums must be reduced, or they outgrow 53 bits by far: small enough for 32. */
const RUN = 3_800;

/** Adler-32 of bytes (RFC 1950 section 9), as PanDA writes it: 8 digits of lower-case hex. */
export function adler32(bytes: Uint8Array): string {
  let low = 1;
  let high = 0;
  for (let from = 0; from < bytes.length; from += RUN) {
    for (const byte of bytes.subarray(from, from + RUN)) {
      low += byte;
      high += low;
    }
    low %= MODULUS;
    high %= MODULUS;
  }
  return (((high << 16) | low) >>> 0).toString(16).padStart(8, '0');
}
