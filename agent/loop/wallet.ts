import type { Capability, CapabilityList, File } from '../../protocol/generated/types.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';

/** Files one `outputs` message names. */
const WINDOW = 16;
/** Longest life of a capability (docs/invariants.md, I6), of which only a part is used: its clock started before ours. */
const LONGEST_LIFE_MS = 15 * 60_000;
const USED_PART = 0.8;

export interface WalletOptions {
  readonly clock: Clock;
  readonly leaseSeconds: number;
  /** Asks the broker for capabilities of at most 16 files. Rejects with the broker's refusal. */
  readonly obtain: (verb: Capability['verb'], files: readonly File[]) => Promise<CapabilityList>;
}

interface Held {
  readonly capability: Capability;
  readonly untilMs: number;
}

/** The capabilities of one attempt: those that came with the lease, and fresh ones in windows where they are missing or old. */
export class Wallet {
  readonly #options: WalletOptions;
  readonly #held = new Map<string, Held>();

  constructor(options: WalletOptions) {
    this.#options = options;
  }

  add(capabilities: CapabilityList): void {
    const { clock, leaseSeconds } = this.#options;
    const untilMs = clock.monotonicMs() + USED_PART * Math.min(LONGEST_LIFE_MS, leaseSeconds * 1000);
    for (const capability of capabilities)
      this.#held.set(keyOf(capability.verb, capability.name), { capability, untilMs });
  }

  /**
   * The capability for the first of `files`; where it has to be asked for, those that follow are asked for with it.
   * Undefined where the broker answered without it.
   */
  async take(verb: Capability['verb'], files: readonly File[]): Promise<Capability | undefined> {
    const [first] = files;
    if (first === undefined) return undefined;
    const held = this.#find(verb, first.name);
    if (held !== undefined) return held;
    const missing = files.filter(({ name }) => this.#find(verb, name) === undefined);
    this.add(await this.#options.obtain(verb, missing.slice(0, WINDOW)));
    return this.#find(verb, first.name);
  }

  /** The storage did not take it. */
  discard(capability: Capability): void {
    this.#held.delete(keyOf(capability.verb, capability.name));
  }

  #find(verb: Capability['verb'], name: string): Capability | undefined {
    const held = this.#held.get(keyOf(verb, name));
    return held !== undefined && held.untilMs > this.#options.clock.monotonicMs()
      ? held.capability
      : undefined;
  }
}

function keyOf(verb: Capability['verb'], name: string): string {
  return `${verb} ${name}`;
}
