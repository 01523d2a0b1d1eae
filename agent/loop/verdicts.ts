import type { Attempt, Seen, VerdictItem } from '../../protocol/generated/types.ts';
import { attemptKey } from '../store/store.ts';

/** Most verdicts named in one message. */
const MAX_NAMED = 64;

/** Whether nothing will change it any more. */
export function isFinal(item: VerdictItem): boolean {
  return item.verdict === 'committed' || item.verdict === 'refused';
}

export interface VerdictsOptions {
  /** Attempts reported and unresolved, by number and by bytes of output kept for them: at either bound no new work is asked for. */
  readonly maxUnresolved: number;
  readonly maxUnresolvedBytes: number;
  /** The broker has decided: the attempt's files may go. It is named as seen only once this resolves. */
  readonly onFinal: (item: VerdictItem) => Promise<void>;
}

/** Keeps account of what was reported: which verdicts are awaited, and which have come and must be named as seen. */
export class Verdicts {
  readonly #options: VerdictsOptions;
  readonly #unresolved = new Map<string, number>();
  readonly #awaited = new Set<string>();
  readonly #settling = new Map<string, Promise<void>>();
  readonly #seen = new Map<string, Attempt>();
  #room = Promise.withResolvers<undefined>();

  constructor(options: VerdictsOptions) {
    this.#options = options;
  }

  get unresolved(): number {
    return this.#unresolved.size;
  }

  /** Whether a report was answered without a verdict, which now has to be asked for. */
  get isAwaiting(): boolean {
    return this.#awaited.size > 0;
  }

  /** Resolves when the files of all verdicts noted so far are gone. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#settling.values());
  }

  /** Whether more work may be asked for. */
  get hasRoom(): boolean {
    const bytes = [...this.#unresolved.values()].reduce((sum, size) => sum + size, 0);
    return this.#unresolved.size < this.#options.maxUnresolved && bytes < this.#options.maxUnresolvedBytes;
  }

  /** Resolves when an attempt left the account. */
  change(): Promise<undefined> {
    return this.#room.promise;
  }

  isExpected(attempt: Attempt): boolean {
    return this.#unresolved.has(attemptKey(attempt));
  }

  /** A report is about to be sent; `bytes` of output are kept until its verdict. */
  expect(attempt: Attempt, bytes: number): void {
    this.#unresolved.set(attemptKey(attempt), bytes);
  }

  /** The report was answered; its verdict, if the answer had none, comes later. */
  answered(item: VerdictItem): void {
    if (isFinal(item)) this.note([item]);
    else if (this.isExpected(item)) this.#awaited.add(attemptKey(item));
  }

  /** The report was refused: no verdict will come. */
  forget(attempt: Attempt): void {
    this.#awaited.delete(attemptKey(attempt));
    if (!this.#unresolved.delete(attemptKey(attempt))) return;
    this.#room.resolve(undefined);
    this.#room = Promise.withResolvers<undefined>();
  }

  /** What the broker decided; anything but a final verdict changes nothing. Repeats are harmless. */
  note(items: readonly VerdictItem[]): void {
    for (const item of items) {
      if (!isFinal(item)) continue;
      const key = attemptKey(item);
      if (this.#settling.has(key) || this.#seen.has(key)) continue;
      this.#settling.set(key, this.#settle(item, key));
    }
  }

  /** What the next message names as seen. */
  toName(): Seen {
    return [...this.#seen.values()].slice(0, MAX_NAMED);
  }

  /** A message that named these was answered. */
  named(seen: Seen): void {
    for (const attempt of seen) this.#seen.delete(attemptKey(attempt));
  }

  async #settle(item: VerdictItem, key: string): Promise<void> {
    try {
      await this.#options.onFinal(item);
      this.#seen.set(key, { job: item.job, attempt: item.attempt });
    } finally {
      this.#settling.delete(key);
      this.forget(item);
    }
  }
}
