import type { Clock, Log, Random } from '../../protocol/runtime/runtime.ts';
import type { Bearer } from './bearer.ts';
import type { PatienceOptions } from './patience.ts';

/** The agent's Ed25519 key. */
  readonly key: PrivateKey;
  readonly log: Log;
  readonly random: Random;
  readonly tuning?: Partial<TransferTuning>;
}

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
