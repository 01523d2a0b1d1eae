import type { Attempt, Usage } from '../../protocol/generated/types.ts';
import { attemptKey } from '../store/store.ts';
import type { KeptLease } from '../store/store.ts';

/** Why an attempt is stopped before its end: `void`, the broker no longer counts it as ours; `closing`, the agent itself ends. */
export type StopReason = 'cancelled' | 'void' | 'drain' | 'closing';

/** What a renewal says of an attempt. */
export interface Measure {
  readonly progress: number;
  readonly usage?: Usage;
  readonly logTail?: string;
}

/** An attempt this agent holds the lease of. */
export class Holding implements Attempt {
  readonly job: string;
  readonly attempt: number;
  readonly lease: KeptLease;
  /** True until the report is on its way: only then is the lease renewed. */
  live = true;
  /** Set once the first renewal was accepted. */
  renewed = false;
  /** When the next renewal is due, on the monotonic clock. */
  renewDueMs: number;
  measure: () => Promise<Measure> = () => Promise.resolve({ progress: 0 });
  readonly #stop = new AbortController();
  #reason: StopReason | undefined;

  constructor(lease: KeptLease, renewDueMs: number) {
    this.job = lease.job;
    this.attempt = lease.attempt;
    this.lease = lease;
    this.renewDueMs = renewDueMs;
  }

  get key(): string {
    return attemptKey(this);
  }

  /** Aborted when the attempt must stop; `stopReason` then says why. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get stopReason(): StopReason | undefined {
    return this.#reason;
  }

  /** The first reason counts. */
  stop(reason: StopReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.live = false;
    this.#stop.abort();
  }
}
