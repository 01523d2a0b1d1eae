import type { Readable } from 'node:stream';
import type { BridgeAccess } from '../../kit/bridge-access.ts';
import { putInput } from '../../kit/input-store.ts';

/** Where inputs go before the jobs that name them. */
export interface InputStore {
  /** Resolves once the input is there under its digest. Rejects with `DIGEST_MISMATCH`, `INVALID_REQUEST` or `UNREACHABLE`. */
  put(sha256: string, size: number, body: Readable): Promise<void>;
}

export function createInputStore(bridge: BridgeAccess): InputStore {
  return { put: (sha256, size, body) => putInput(bridge, { sha256, size }, body) };
}
