/** How far behind the highest counter a frame may come. */
export const WINDOW_WIDTH = 64;

/**
 * Which of the last 64 counters have been seen. Ask `isFresh` before opening a frame and `mark` only once its tag has
 * verified: a forged counter must not move the window.
 */
export class ReplayWindow {
  #highest = -1;
  /** Bit `n`: counter `highest - n` was seen, for n from 0 to 31. */
  #recent = 0;
  /** The same for n from 32 to 63. */
  #older = 0;

  isFresh(counter: number): boolean {
    const behind = this.#highest - counter;
    if (behind < 0) return true;
    if (behind >= WINDOW_WIDTH) return false;
    return behind < 32 ? (this.#recent & (1 << behind)) === 0 : (this.#older & (1 << (behind - 32))) === 0;
  }

  mark(counter: number): void {
    const ahead = counter - this.#highest;
    if (ahead > 0) {
      this.#shift(ahead);
      this.#highest = counter;
      this.#recent |= 1;
    } else if (-ahead < 32) this.#recent |= 1 << -ahead;
    else if (-ahead < WINDOW_WIDTH) this.#older |= 1 << (-ahead - 32);
  }

  #shift(by: number): void {
    if (by >= WINDOW_WIDTH) {
      this.#recent = 0;
      this.#older = 0;
    } else if (by >= 32) {
      this.#older = this.#recent << (by - 32);
      this.#recent = 0;
    } else {
      this.#older = (this.#older << by) | (this.#recent >>> (32 - by));
      this.#recent <<= by;
    }
  }
}
