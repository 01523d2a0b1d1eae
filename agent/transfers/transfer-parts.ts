import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { Bearer } from './bearer.ts';
import type { PatienceOptions } from './patience.ts';

export interface TransferTuning {
  /** Files up to this size go in one request, larger ones in pieces of it. */
  readonly chunkBytes: number;
  readonly idleMs: number;
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

/** What both directions use. */
export interface TransferParts {
  readonly bearer: Bearer;
  readonly clock: Clock;
  readonly patience: PatienceOptions;
  readonly tuning: TransferTuning;
}
