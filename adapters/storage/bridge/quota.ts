import { CoPilotError } from '../../../protocol/errors.ts';
import type { Ceiling } from '../ceiling.ts';
import type { AttemptRef } from '../storage-adapter.ts';

/** What a capability allows its attempt, within the ceiling. */
export interface Allowance {
  readonly max: number;
  readonly total: number;
}

/** Bytes set aside before they land. Exactly one of the two is called, once. */
export interface Reservation {
  /** A row of the registry accounts for the bytes from now on. */
  keep(): void;
  /** The bytes did not come, or were removed. */
  release(): void;
}

/** Counts bytes promised and stored, so that nothing lands that has no room. */
export class Quota {
  readonly #ceiling: Ceiling;
  readonly #pending = new Map<string, number>();
  #usedBytes: number;

  constructor(ceiling: Ceiling, usedBytes: number) {
    this.#ceiling = ceiling;
    this.#usedBytes = usedBytes;
  }

  /** Bytes stored or promised. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Sets bytes aside for a file of an attempt that has rows for `storedBytes`; throws `QUOTA_EXCEEDED` or `STORAGE_FULL`. */
  reserve(ref: AttemptRef, bytes: number, storedBytes: number, allowance: Allowance): Reservation {
    const place = `${ref.job}/${ref.attempt}`;
    const pending = this.#pending.get(place) ?? 0;
    if (bytes > Math.min(allowance.max, this.#ceiling.maxFileBytes))
      throw new CoPilotError('QUOTA_EXCEEDED', 'the file is larger than the capability allows');
    if (storedBytes + pending + bytes > Math.min(allowance.total, this.#ceiling.maxAttemptBytes))
      throw new CoPilotError('QUOTA_EXCEEDED', 'the attempt has no room left for the file');
    this.#take(bytes);
    this.#pending.set(place, pending + bytes);
    const settle = (): void => {
      const left = (this.#pending.get(place) ?? 0) - bytes;
      if (left > 0) this.#pending.set(place, left);
      else this.#pending.delete(place);
    };
    return {
      keep: settle,
      release: () => {
        settle();
        this.free(bytes);
      },
    };
  }

  /** As `reserve`, for an input: only the ceilings on files and on everything count. */
  reserveInput(bytes: number): Reservation {
    if (bytes > this.#ceiling.maxFileBytes)
      throw new CoPilotError('QUOTA_EXCEEDED', 'the input is larger than a file may be');
    this.#take(bytes);
    return { keep: () => undefined, release: () => this.free(bytes) };
  }

  /** Rows that stood for these bytes are gone. */
  free(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  #take(bytes: number): void {
    if (this.#usedBytes + bytes > this.#ceiling.maxTotalBytes)
      throw new CoPilotError('STORAGE_FULL', 'the storage has no room left for the file');
    this.#usedBytes += bytes;
  }
}
