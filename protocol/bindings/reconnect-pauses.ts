import type { Clock, Random } from '../runtime/runtime.ts';

const FIRST_MS = 500;
const LONGEST_MS = 15_000;
/** A connection that held so long was a good one: the next loss is answered as the first. */
const STABLE_AFTER_MS = 10_000;
/** Lost sooner, but frames had come: that was no failure to connect, and costs no more than this many would. */
const COUNT_ONCE_SERVED = 1;

/** How long to wait before a connection is tried again: half a second to 15 s, with jitter, so that a crowd does not come at once. */
export class ReconnectPauses {
  readonly #clock: Clock;
  readonly #random: Random;
  #failures = 0;
  #connectedMs: number | undefined;
  #served = false;

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock;
    this.#random = random;
  }

  connected(): void {
    this.#connectedMs = this.#clock.monotonicMs();
    this.#served = false;
  }

  served(): void {
    this.#served = true;
  }

  /** The connection, or the attempt to make one, is over. */
  nextMs(): number {
    if (this.#connectedMs !== undefined) {
      if (this.#clock.monotonicMs() - this.#connectedMs >= STABLE_AFTER_MS) this.#failures = 0;
      else if (this.#served) this.#failures = Math.min(this.#failures, COUNT_ONCE_SERVED);
    }
    this.#connectedMs = undefined;
    const longestMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures++;
    return longestMs * (0.5 + (0.5 * (this.#random.bytes(1)[0] ?? 0)) / 255);
  }
}
