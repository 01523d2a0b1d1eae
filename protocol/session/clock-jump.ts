import type { Clock } from '../runtime/runtime.ts';

const MAX_JUMP_MS = 60_000;

/**
 * Notices that wall and monotonic time have moved apart by more than a minute, as they do when a saved machine is restored:
 * it would go on with keys and counters that were already used.
 */
export class ClockJumpDetector {
  readonly #clock: Clock;
  #apartMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#apartMs = this.#measure();
  }

  /** True once per jump. */
  hasJumped(): boolean {
    const apartMs = this.#measure();
    if (Math.abs(apartMs - this.#apartMs) <= MAX_JUMP_MS) return false;
    this.#apartMs = apartMs;
    return true;
  }

  /** Begins to measure from now; for when no session is left that an older beginning would protect. */
  restart(): void {
    this.#apartMs = this.#measure();
  }

  #measure(): number {
    return this.#clock.wallMs() - this.#clock.monotonicMs();
  }
}
