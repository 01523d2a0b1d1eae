export interface RateLimit {
  /** How many at once. */
  readonly burst: number;
  /** One more every so many milliseconds. */
  readonly everyMs: number;
}

interface Bucket {
  tokens: number;
  filledMs: number;
}

/** Keys remembered at once; beyond, the one used longest ago is forgotten and starts afresh. */
const MAX_KEYS = 65_536;

/** Token buckets by key, bounded in number. */
export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #maxKeys: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limit: RateLimit, maxKeys = MAX_KEYS) {
    this.#limit = limit;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Whether `key` may do it once more now; if so, that is counted. */
  take(key: string, nowMs: number): boolean {
    const bucket = this.#refilled(key, nowMs);
    // Deleted and set again, so that the map's order is that of use.
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    this.#forgetOldest();
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  #refilled(key: string, nowMs: number): Bucket {
    const { burst, everyMs } = this.#limit;
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return { tokens: burst, filledMs: nowMs };
    bucket.tokens = Math.min(burst, bucket.tokens + (nowMs - bucket.filledMs) / everyMs);
    bucket.filledMs = nowMs;
    return bucket;
  }

  #forgetOldest(): void {
    if (this.#buckets.size <= this.#maxKeys) return;
    const oldest = this.#buckets.keys().next();
    if (oldest.done !== true) this.#buckets.delete(oldest.value);
  }
}
