import type { Cancel, Clock } from '../runtime/runtime.ts';
import type { Address, FrameHandler } from './bus.ts';

/** How many frames one connection may hand over per second, and how many at once after it was quiet. */
export interface FrameRate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface InletOptions {
  readonly clock: Clock;
  readonly handler: FrameHandler;
  /** Handlers of this inlet that may run at once. */
  readonly concurrency: number;
  readonly rate?: FrameRate;
  /** Bound over many inlets together. */
  readonly shared?: SharedBound;
  /** Stop and continue reading from the connection. */
  readonly flow?: { pause(): void; resume(): void };
  /** A handler failed, which is its owner's fault and not the peer's. */
  onError(error: unknown): void;
}

/** Handlers that may run at once over all connections of one binding. */
export class SharedBound {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;
  #isWaking = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether one more may run; if not, `wake` is called once when it may be tried again. */
  enter(wake: () => void): boolean {
    if (this.#running < this.#limit) {
      this.#running++;
      return true;
    }
    this.#waiting.add(wake);
    return false;
  }

  leave(): void {
    this.#running--;
    // Whoever is woken comes and goes here too: one loop instead of a call within a call for each.
    if (this.#isWaking) return;
    this.#isWaking = true;
    for (const wake of this.#waiting) {
      if (this.#running >= this.#limit) break;
      this.#waiting.delete(wake);
      wake();
    }
    this.#isWaking = false;
  }

  /** Nobody is there to be woken any more. */
  forget(wake: () => void): void {
    this.#waiting.delete(wake);
  }
}

interface Arrived {
  readonly from: Address;
  readonly frame: Uint8Array;
}

const SETTLE_WITHIN_MS = 5000;

/**
 * The way in: hands frames to the handler while bounds allow and otherwise stops reading, so that the
 * network's own flow control reaches the sender. What was read already waits here: of a socket one chunk at most.
 */
export class Inlet {
  readonly #options: InletOptions;
  readonly #waiting: Arrived[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #wake = (): void => this.#drain();
  #tokens: number;
  #filledMs: number;
  #isPaused = false;
  #isClosed = false;
  #cancelRefill: Cancel | undefined;

  constructor(options: InletOptions) {
    this.#options = options;
    this.#tokens = options.rate?.burst ?? 0;
    this.#filledMs = options.clock.monotonicMs();
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Frames that no handler has yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  push(from: Address, frame: Uint8Array): void {
    if (this.#isClosed) return;
    this.#waiting.push({ from, frame });
    this.#drain();
  }

  /** Counts something that costs as much as a frame and brings none. */
  charge(): void {
    if (this.#isClosed || this.#options.rate === undefined) return;
    this.#refill();
    this.#tokens--;
    this.#drain();
  }

  /** Takes nothing more and forgets what waits; handlers that run are awaited by `settled`. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.length = 0;
    this.#cancelRefill?.();
    this.#options.shared?.forget(this.#wake);
  }

  /** Resolves when no handler runs, or after 5 s; never rejects. */
  async settled(): Promise<void> {
    if (this.#running.size === 0) return;
    let cancel: Cancel = () => undefined;
    const deadline = new Promise<void>((resolve) => {
      cancel = this.#options.clock.schedule(SETTLE_WITHIN_MS, resolve);
    });
    await Promise.race([Promise.all(this.#running), deadline]);
    cancel();
  }

  #drain(): void {
    while (this.#waiting.length > 0 && this.#mayHandle()) {
      const arrived = this.#waiting.shift();
      if (arrived !== undefined) this.#handle(arrived);
    }
    if (!this.#isClosed) this.#readOrPause();
  }

  #mayHandle(): boolean {
    if (this.#running.size >= this.#options.concurrency || !this.#hasToken()) return false;
    return this.#options.shared?.enter(this.#wake) ?? true;
  }

  #hasToken(): boolean {
    const rate = this.#options.rate;
    if (rate === undefined) return true;
    this.#refill();
    if (this.#tokens >= 1) return true;
    this.#cancelRefill ??= this.#options.clock.schedule(((1 - this.#tokens) * 1000) / rate.perSecond, () => {
      this.#cancelRefill = undefined;
      if (!this.#isClosed) this.#drain();
    });
    return false;
  }

  #refill(): void {
    const rate = this.#options.rate;
    if (rate === undefined) return;
    const nowMs = this.#options.clock.monotonicMs();
    this.#tokens = Math.min(rate.burst, this.#tokens + ((nowMs - this.#filledMs) * rate.perSecond) / 1000);
    this.#filledMs = nowMs;
  }

  #handle(arrived: Arrived): void {
    if (this.#options.rate !== undefined) this.#tokens--;
    const handled = this.#call(arrived);
    if (handled === undefined) {
      this.#options.shared?.leave();
      return;
    }
    const run: Promise<void> = handled
      .catch((error: unknown) => this.#options.onError(error))
      .finally(() => {
        this.#running.delete(run);
        this.#options.shared?.leave();
        this.#drain();
      });
    this.#running.add(run);
  }

  #call({ from, frame }: Arrived): Promise<void> | undefined {
    try {
      return this.#options.handler(from, frame) ?? undefined;
    } catch (error) {
      this.#options.onError(error);
      return undefined;
    }
  }

  #readOrPause(): void {
    const mustPause = this.#waiting.length > 0 || (this.#options.rate !== undefined && !this.#hasToken());
    if (mustPause === this.#isPaused) return;
    this.#isPaused = mustPause;
    if (mustPause) this.#options.flow?.pause();
    else this.#options.flow?.resume();
  }
}
