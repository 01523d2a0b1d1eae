import { Failed } from '../expectation.ts';

/** What was seen to be wrong whatever a case is about; checked when it ends. */
export class Faults {
  readonly #found: string[] = [];

  /** Notes a fault by the requirement it breaks. */
  note(requirement: string, text: string): void {
    this.#found.push(`${requirement}: ${text}`);
  }

  /** Throws the first, and forgets all. */
  check(): void {
    const [first] = this.#found.splice(0);
    if (first !== undefined) throw new Failed(first);
  }
}
