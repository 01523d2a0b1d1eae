import { Heap, type Placed } from './heap.ts';
import { isNextBefore, type Share } from './share.ts';

/** Things found by key, and the best of them. */
export class Shelf<K, T extends Placed & { readonly key: K }> {
  readonly #byKey = new Map<K, T>();
  readonly #heap: Heap<T>;

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#heap = new Heap(isBefore);
  }

  get size(): number {
    return this.#heap.size;
  }

  get items(): readonly T[] {
    return this.#heap.items;
  }

  get(key: K): T | undefined {
    return this.#byKey.get(key);
  }

  first(): T | undefined {
    return this.#heap.first();
  }

  /** What stands under the key, made where nothing does. */
  getOrAdd(key: K, make: () => T): T {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#byKey.set(key, made);
    this.#heap.add(made);
    return made;
  }

  remove(item: T): void {
    if (this.#byKey.delete(item.key)) this.#heap.remove(item);
  }

  moved(item: T): void {
    this.#heap.moved(item);
  }
}

/** Stands for a share in one bucket. A share has turns through other buckets too: what it is compared by here may be old. */
export interface Stand extends Placed {
  readonly key: Share;
  pass: number;
  turn: number;
}

export function newStand(share: Share): Stand {
  return { at: 0, key: share, pass: share.pass, turn: share.turn };
}

export function newTurns<T extends Stand>(): Shelf<Share, T> {
  return new Shelf<Share, T>(isNextBefore);
}

/** Whose turn is next. A share's turn only ever moves back, so the first one that is up to date is the earliest. */
export function nextOf<T extends Stand>(shelf: Shelf<Share, T>): T | undefined {
  for (;;) {
    const first = shelf.first();
    if (first === undefined) return undefined;
    const { pass, turn } = first.key;
    if (first.pass === pass && first.turn === turn) return first;
    first.pass = pass;
    first.turn = turn;
    shelf.moved(first);
  }
}
