import type { Random } from '../../protocol/runtime/runtime.ts';

/** Reproducible bytes from a seed (the sfc32 generator); for tests and the simulator, never for keys that matter. */
export function createSeededRandom(seed: number): Random {
  const next = sfc32(seed);
  return {
    bytes(length) {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 4) {
        const word = next();
        for (let part = 0; part < 4 && at + part < length; part++) bytes[at + part] = word >>> (8 * part);
      }
      return bytes;
    },
  };
}

function sfc32(seed: number): () => number {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed | 0;
  let counter = 1;
  const step = (): number => {
    const result = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };
  for (let warmUp = 0; warmUp < 15; warmUp++) step();
  return step;
}
