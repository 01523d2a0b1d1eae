import { CoPilotError } from '../../../protocol/errors.ts';
import type { AttemptRef } from '../storage-adapter.ts';
import type { BridgeLimits } from './limits.ts';

/** The right to write one file, held by one request at a time. */
export interface Writer {
  /** Aborted where the attempt is closed or the bridge stops. */
  readonly signal: AbortSignal;
  /** Gives the file free; once. */
  release(): void;
}

interface Attempt {
  readonly writers: Map<string, AbortController>;
  /** Somebody removes the attempt's files: nobody begins one meanwhile. */
  isHeld: boolean;
  readonly idle: (() => void)[];
}

/** Who writes what now: one writer a file, some files an attempt, some in all. */
export class Writers {
  readonly #limits: BridgeLimits;
  readonly #attempts = new Map<string, Attempt>();
  #count = 0;

  constructor(limits: BridgeLimits) {
    this.#limits = limits;
  }

  /** Throws `UPLOAD_BUSY` where the file has a writer, `STORAGE_BUSY` where there are too many. */
  acquire(ref: AttemptRef, name: string): Writer {
    const place = placeOf(ref);
    this.#requireFree(this.#attempts.get(place), name);
    const attempt = this.#attempt(place);
    const controller = new AbortController();
    attempt.writers.set(name, controller);
    this.#count++;
    return { signal: controller.signal, release: () => this.#release(place, attempt, name) };
  }

  /** Uploads under way. */
  get count(): number {
    return this.#count;
  }

  /** Names being written in an attempt. */
  names(ref: AttemptRef): readonly string[] {
    return [...(this.#attempts.get(placeOf(ref))?.writers.keys() ?? [])];
  }

  /** Ends the attempt's writers and runs `action` once none is left, before any new one. */
  async alone<T>(ref: AttemptRef, action: () => Promise<T>): Promise<T> {
    const place = placeOf(ref);
    while (this.#attempts.get(place)?.isHeld === true) await this.#idle(place);
    const attempt = this.#attempt(place);
    attempt.isHeld = true;
    try {
      for (const writer of attempt.writers.values())
        writer.abort(new CoPilotError('ATTEMPT_CLOSED', 'the attempt takes no more files'));
      while (attempt.writers.size > 0) await this.#idle(place);
      return await action();
    } finally {
      attempt.isHeld = false;
      this.#wake(place, attempt);
    }
  }

  /** As `alone` where nobody writes in the attempt now; false, and nothing done, otherwise. */
  async ifIdle(ref: AttemptRef, action: () => Promise<void>): Promise<boolean> {
    if (this.#attempts.has(placeOf(ref))) return false;
    await this.alone(ref, action);
    return true;
  }

  /** Ends every writer, as the bridge stops. */
  abortAll(): void {
    for (const { writers } of this.#attempts.values()) {
      for (const writer of writers.values())
        writer.abort(new CoPilotError('UNREACHABLE', 'the bridge stops'));
    }
  }

  #attempt(place: string): Attempt {
    const known = this.#attempts.get(place);
    if (known !== undefined) return known;
    const attempt: Attempt = { writers: new Map(), isHeld: false, idle: [] };
    this.#attempts.set(place, attempt);
    return attempt;
  }

  #requireFree(attempt: Attempt | undefined, name: string): void {
    if (attempt?.isHeld === true) throw new CoPilotError('STORAGE_BUSY', 'the attempt is being closed');
    if (attempt?.writers.has(name) === true)
      throw new CoPilotError('UPLOAD_BUSY', 'another request is writing the file');
    if ((attempt?.writers.size ?? 0) >= this.#limits.uploadsPerAttempt)
      throw new CoPilotError('STORAGE_BUSY', 'the attempt uploads too many files at once');
    if (this.#count >= this.#limits.uploads) throw new CoPilotError('STORAGE_BUSY', 'too many uploads');
  }

  #release(place: string, attempt: Attempt, name: string): void {
    if (!attempt.writers.delete(name)) return;
    this.#count--;
    this.#wake(place, attempt);
  }

  #idle(place: string): Promise<void> {
    return new Promise((resolve) => this.#attempt(place).idle.push(resolve));
  }

  #wake(place: string, attempt: Attempt): void {
    for (const resume of attempt.idle.splice(0)) resume();
    if (attempt.writers.size === 0 && !attempt.isHeld && attempt.idle.length === 0)
      this.#attempts.delete(place);
  }
}

function placeOf(ref: AttemptRef): string {
  return `${ref.job}/${ref.attempt}`;
}
