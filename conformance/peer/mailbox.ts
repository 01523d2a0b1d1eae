/** What came and was not taken yet, oldest first; whoever waits is told at once. */
export class Mailbox<T> {
  readonly #items: T[] = [];
  readonly #waiting = new Set<() => void>();

  get items(): readonly T[] {
    return this.#items;
  }

  push(item: T): void {
    this.#items.push(item);
    for (const look of [...this.#waiting]) look();
  }

  /** The first that fits, which leaves the box; the others stay. Undefined where none came in time. */
  take<S extends T>(
    fits: (item: T) => item is S,
    withinMs: number,
    signal: AbortSignal,
  ): Promise<S | undefined>;
  take(fits: (item: T) => boolean, withinMs: number, signal: AbortSignal): Promise<T | undefined>;
  take(fits: (item: T) => boolean, withinMs: number, signal: AbortSignal): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        const at = this.#items.findIndex(fits);
        if (at < 0) return;
        leave();
        resolve(this.#items.splice(at, 1)[0]);
      };
      const giveUp = (): void => {
        leave();
        reject(signal.reason instanceof Error ? signal.reason : new Error('the case was ended'));
      };
      const timer = setTimeout(() => {
        leave();
        resolve(undefined);
      }, withinMs);
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.add(look);
      if (signal.aborted) giveUp();
      else look();
    });
  }
}
