import type { Address } from './bus.ts';

/** Addresses remembered as gone; beyond, the one that went first is forgotten, and found out again by the frame that is sent to it. */
const MAX_GONE = 65_536;

/** Who is known to have gone from a server that would take frames for nobody. */
export class Gone {
  readonly #addresses = new Set<Address>();

  has(address: Address): boolean {
    return this.#addresses.has(address);
  }

  /** True where that is news. */
  add(address: Address): boolean {
    if (this.#addresses.has(address)) return false;
    this.#addresses.add(address);
    if (this.#addresses.size > MAX_GONE) {
      const [first] = this.#addresses;
      if (first !== undefined) this.#addresses.delete(first);
    }
    return true;
  }

  remove(address: Address): void {
    this.#addresses.delete(address);
  }
}
