import type { Capability, File, Grant, StoredFile } from '../../protocol/generated/types.ts';

/** One attempt of one job, the unit storage keeps apart. */
export interface AttemptRef {
  readonly job: string;
  readonly attempt: number;
}

export type Verified =
  | { readonly kind: 'verified'; readonly files: readonly StoredFile[] }
  | { readonly kind: 'mismatch'; readonly reason: string };

/** What every storage adapter promises the broker; each call may be repeated any number of times. */
export interface StorageAdapter {
  /**
   * Mints one capability per file of a grant whose signature was checked. Rejects with `NOT_AUTHORIZED` where the grant
   * exceeds this adapter's own ceiling, with `ATTEMPT_NOT_LIVE` where the attempt was finalised or discarded.
   */
  mint(grant: Grant): Promise<readonly Capability[]>;
  /** Compares what was uploaded with the manifest by digests the adapter computed itself; closes the attempt to further writes. */
  verify(attempt: AttemptRef, manifest: readonly File[]): Promise<Verified>;
  /**
   * Registers the attempt's files as the job's result, durably, under a name that contains the attempt's number.
   * Rejects with `ATTEMPT_NOT_LIVE` once it was discarded.
   */
  finalise(attempt: AttemptRef, manifest: readonly File[]): Promise<void>;
  /** Removes the attempt's files and refuses, durably, to finalise it from now on; refused with `ATTEMPT_NOT_LIVE` once finalised. */
  discard(attempt: AttemptRef): Promise<void>;
}
