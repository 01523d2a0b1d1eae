/** Something that lies in a heap; the heap keeps its place, so that it is found again without a search. */
export interface Placed {
  at: number;
}

/** A binary heap, the best at the front; anything in it can be taken out. Each operation costs the logarithm of its size. */
export class Heap<T extends Placed> {
  readonly #items: T[] = [];
  readonly #isBefore: (a: T, b: T) => boolean;

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  /** In no order. */
  get items(): readonly T[] {
    return this.#items;
  }

  first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    item.at = this.#items.length;
    this.#items.push(item);
    this.#rise(item.at);
  }

  /** The item must be in this heap. */
  remove(item: T): void {
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    last.at = item.at;
    this.#items[item.at] = last;
    this.moved(last);
  }

  /** What the item is compared by has changed. */
  moved(item: T): void {
    this.#rise(item.at);
    this.#sink(item.at);
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
    return b !== undefined && this.#isBefore(b, a) ? right : left;
  }

  #swapIfBefore(index: number, other: number): boolean {
    const a = this.#items[index];
    const b = this.#items[other];
    if (a === undefined || b === undefined || !this.#isBefore(a, b)) return false;
    this.#items[index] = b;
    this.#items[other] = a;
    a.at = other;
    b.at = index;
    return true;
  }
}
