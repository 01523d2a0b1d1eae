import type { Address } from './bus.ts';

/** Parties remembered as present; of one beyond, a word that it went is taken as its last. */
const MAX_PRESENT = 65_536;

/** By which of a broker's names agents have said that they are there: each says so to each name it uses. */
export class Presence {
  readonly #names = new Map<Address, Set<string>>();

  /** Whether it is there, by whatever name. */
  hear(from: Address, name: string, word: 'came' | 'went'): boolean {
    if (word === 'came') {
      this.#add(from, name);
      return true;
    }
    const names = this.#names.get(from);
    names?.delete(name);
    if (names !== undefined && names.size > 0) return true;
    this.#names.delete(from);
    return false;
  }

  /** Nothing is heard by this name any more. */
  forget(name: string): void {
    for (const [from, names] of this.#names)
      if (names.delete(name) && names.size === 0) this.#names.delete(from);
  }

  #add(from: Address, name: string): void {
    const names = this.#names.get(from);
    if (names !== undefined) names.add(name);
    else if (this.#names.size < MAX_PRESENT) this.#names.set(from, new Set([name]));
  }
}
