import { timingSafeEqual } from 'node:crypto';
import { base64url, fromBase64url } from '../../../protocol/encoding.ts';
import type { Clock, Crypto, Random } from '../../../protocol/runtime/runtime.ts';

export type Judged = 'fresh' | 'stale' | 'replayed';

/**
 * The bridge's nonces, which stand in for the agents' clocks, and the memory of the proofs made with them. Nonces are an
 * HMAC over the time they were made at: nothing is kept for one until it is used, and a restart ends them all.
 */
export interface Freshness {
  /** The nonce to hand out now. */
  nonce(): string;
  /** Whether it was made here and is young enough. */
  accepts(nonce: string): boolean;
  /** Takes note of a proof made with an accepted nonce; each is taken once. */
  spend(nonce: string, proofId: string): Judged;
  /** Proofs remembered now; never more than the bound. */
  readonly size: number;
}

export interface FreshnessOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: Crypto;
  readonly nonceMs: number;
  readonly proofs: number;
}

/** Nonces made in the same step are equal, and forgotten together. */
const STEPS = 5;
const STEP_BYTES = 8;
const MAC_BYTES = 16;

export function createFreshness(options: FreshnessOptions): Freshness {
  return new NonceMemory(options);
}

class NonceMemory implements Freshness {
  readonly #options: FreshnessOptions;
  readonly #spent = new Map<number, Set<string>>();
  #key: Uint8Array;
  #size = 0;

  constructor(options: FreshnessOptions) {
    this.#options = options;
    this.#key = options.random.bytes(32);
  }

  get size(): number {
    return this.#size;
  }

  nonce(): string {
    const step = this.#stepBytes(this.#step());
    return base64url(Buffer.concat([step, this.#mac(step)]));
  }

  accepts(nonce: string): boolean {
    return this.#stepOf(nonce) !== undefined;
  }

  spend(nonce: string, proofId: string): Judged {
    const step = this.#stepOf(nonce);
    if (step === undefined) return 'stale';
    this.#forgetOld();
    const spent = this.#spent.get(step) ?? new Set<string>();
    if (spent.has(proofId)) return 'replayed';
    if (this.#size >= this.#options.proofs) {
      this.#startOver();
      return 'stale';
    }
    this.#spent.set(step, spent.add(proofId));
    this.#size++;
    return 'fresh';
  }

  #step(): number {
    return Math.floor((this.#options.clock.monotonicMs() * STEPS) / this.#options.nonceMs);
  }

  #stepOf(nonce: string): number | undefined {
    const bytes = fromBase64url(nonce);
    if (bytes?.length !== STEP_BYTES + MAC_BYTES) return undefined;
    const made = bytes.subarray(0, STEP_BYTES);
    if (!timingSafeEqual(bytes.subarray(STEP_BYTES), this.#mac(made))) return undefined;
    const step = Number(Buffer.from(made).readBigUInt64BE());
    return step > this.#step() - STEPS ? step : undefined;
  }

  #stepBytes(step: number): Uint8Array {
    const bytes = Buffer.alloc(STEP_BYTES);
    bytes.writeBigUInt64BE(BigInt(step));
    return bytes;
  }

  #mac(step: Uint8Array): Uint8Array {
    return this.#options.crypto.hmacSha256(this.#key, step).subarray(0, MAC_BYTES);
  }

  #forgetOld(): void {
    const oldest = this.#step() - STEPS;
    for (const [step, spent] of this.#spent) {
      if (step > oldest) continue;
      this.#spent.delete(step);
      this.#size -= spent.size;
    }
  }

  /** With a new key no earlier nonce is good, so what was spent with them need not be remembered: bounded, and no proof works twice. */
  #startOver(): void {
    this.#key = this.#options.random.bytes(32);
    this.#spent.clear();
    this.#size = 0;
  }
}
