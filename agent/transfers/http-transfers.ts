import type { Clock, Crypto, Log, PrivateKey, Random } from '../../protocol/runtime/runtime.ts';
import { createBearer } from './bearer.ts';
import { download } from './download.ts';
import type { Transfers } from './transfers.ts';
import type { TransferParts, TransferTuning } from './transfer-parts.ts';
import { upload } from './upload.ts';

export interface TransferOptions {
  readonly clock: Clock;
  readonly crypto: Crypto;
  /** The agent's Ed25519 key. */
  readonly key: PrivateKey;
  readonly log: Log;
  readonly random: Random;
  readonly tuning?: Partial<TransferTuning>;
}

const DEFAULT_TUNING: TransferTuning = {
  chunkBytes: 8 * 1024 * 1024,
  idleMs: 30_000,
  attempts: 8,
  baseMs: 500,
  maxMs: 15_000,
};

/** Transfers over HTTP and HTTPS with capabilities of our own Data Bridge. */
export function createTransfers(options: TransferOptions): Transfers {
  const { clock, crypto, key, log, random } = options;
  const tuning = { ...DEFAULT_TUNING, ...options.tuning };
  const { attempts, baseMs, maxMs } = tuning;
  const parts: TransferParts = {
    bearer: createBearer({ clock, crypto, key, random }),
    clock,
    patience: { clock, log, random, attempts, baseMs, maxMs },
    tuning,
  };
  return {
    upload: (path, capability, facts, signal, onProgress) =>
      upload(parts, { path, capability, facts, signal, onProgress }),
    download: (capability, target, facts, signal, onProgress) =>
      download(parts, { target, capability, facts, signal, onProgress }),
  };
}
