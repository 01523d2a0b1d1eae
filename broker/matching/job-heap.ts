/** A job that waits: best first by priority, then by how long it has waited. */
export interface Waiting {
  readonly job: string;
  readonly queue: string;
  /** Key of its bucket. */
  readonly bucket: string;
  readonly priority: number;
  /** Rises with arrival. */
  readonly order: number;
}

/** Whether `a` is served before `b`. */
export function isBefore(a: Waiting, b: Waiting): boolean {
  return a.priority === b.priority ? a.order < b.order : a.priority > b.priority;
}

/** A binary heap of waiting jobs, the best at the front. */
export class JobHeap {
  readonly #items: Waiting[] = [];

  get size(): number {
    return this.#items.length;
  }

  peek(): Waiting | undefined {
    return this.#items[0];
  }

  push(item: Waiting): void {
    this.#items.push(item);
    this.#rise(this.#items.length - 1);
  }

  pop(): Waiting | undefined {
    const [best] = this.#items;
    const last = this.#items.pop();
    if (best === undefined || last === undefined) return undefined;
    if (this.#items.length > 0) {
      this.#items[0] = last;
      this.#sink(0);
    }
    return best;
  }

  #rise(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfBefore(index, parent)) return;
      index = parent;
    }
  }

  #sink(start: number): void {
    let index = start;
    for (;;) {
      const left = 2 * index + 1;
      const best = this.#bestOf(left, left + 1);
      if (best === undefined || !this.#swapIfBefore(best, index)) return;
      index = best;
    }
  }

  #bestOf(left: number, right: number): number | undefined {
    const a = this.#items[left];
    const b = this.#items[right];
    if (a === undefined) return undefined;
    return b !== undefined && isBefore(b, a) ? right : left;
  }

  #swapIfBefore(index: number, other: number): boolean {
    const a = this.#items[index];
    const b = this.#items[other];
    if (a === undefined || b === undefined || !isBefore(a, b)) return false;
    this.#items[index] = b;
    this.#items[other] = a;
    return true;
  }
}
