/** Jobs under way, by name, and who waits for the end of each; a job may end before anybody asks. */
export class Completions {
  readonly #waiting = new Map<string, () => void>();
  readonly #early = new Set<string>();

  of(job: string): Promise<void> {
    if (this.#early.delete(job)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.set(job, resolve));
  }

  ended(job: string): void {
    const resolve = this.#waiting.get(job);
    if (resolve === undefined) this.#early.add(job);
    this.#waiting.delete(job);
    resolve?.();
  }
}
