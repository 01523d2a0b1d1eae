import { createHash, type Hash } from 'node:crypto';
import { adler32, adler32Hex } from '../../../protocol/adler32.ts';

/** What a framework may want beside SHA-256, which always is there. */
export type ExtraAlgorithm = 'md5' | 'adler32';

export const EXTRA_ALGORITHMS: readonly ExtraAlgorithm[] = ['md5', 'adler32'];

/** Digests beside SHA-256, in lower-case hex. */
export type ExtraDigests = Readonly<Partial<Record<ExtraAlgorithm, string>>>;

/** Digests over bytes that come one piece after the other, all in one pass. */
export interface RunningDigests {
  update(bytes: Uint8Array): void;
  /** An independent one that goes on from here. */
  copy(): RunningDigests;
  /** SHA-256 of what came, in lower-case hex; does not end it. */
  sha256(): string;
  extra(): ExtraDigests;
}

export function startDigests(extra: readonly ExtraAlgorithm[]): RunningDigests {
  return running({
    sha256: createHash('sha256'),
    md5: extra.includes('md5') ? createHash('md5') : undefined,
    adler32: extra.includes('adler32') ? 1 : undefined,
  });
}

interface Sums {
  readonly sha256: Hash;
  readonly md5: Hash | undefined;
  adler32: number | undefined;
}

function running(sums: Sums): RunningDigests {
  return {
    update(bytes) {
      sums.sha256.update(bytes);
      sums.md5?.update(bytes);
      if (sums.adler32 !== undefined) sums.adler32 = adler32(bytes, sums.adler32);
    },
    copy: () => running({ ...sums, sha256: sums.sha256.copy(), md5: sums.md5?.copy() }),
    sha256: () => sums.sha256.copy().digest('hex'),
    extra: () => ({
      ...(sums.md5 && { md5: sums.md5.copy().digest('hex') }),
      ...(sums.adler32 !== undefined && { adler32: adler32Hex(sums.adler32) }),
    }),
  };
}
