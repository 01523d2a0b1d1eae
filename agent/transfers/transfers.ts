import type { Capability } from '../../protocol/generated/types.ts';

/** What a file must come to: known before it moves, checked after. */
export interface FileFacts {
  readonly size: number;
  readonly sha256: string;
}

/** Bytes that are there so far, of the file's size. */
export type OnProgress = (bytes: number) => void;

/**
 * Moves files between the agent's disk and storage. Both calls retry what may pass, resume where they were, may be repeated,
 * and reject with storage's own stable code (protocol/storage-codes.ts), `UNREACHABLE` when patience is at an end, or the
 * signal's reason.
 */
export interface Transfers {
  /** Uploads the file at `path`; once it resolves storage holds it durably and has checked size and digest. */
  upload(
    path: string,
    capability: Capability,
    facts: FileFacts,
    signal: AbortSignal,
    onProgress?: OnProgress,
  ): Promise<void>;
  /** Downloads to `target`, which appears whole and checked or not at all; `DIGEST_MISMATCH` where storage serves other bytes. */
  download(
    capability: Capability,
    target: string,
    facts: FileFacts,
    signal: AbortSignal,
    onProgress?: OnProgress,
  ): Promise<void>;
}
