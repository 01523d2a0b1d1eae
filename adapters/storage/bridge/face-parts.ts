import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { GateParts } from './agent-gate.ts';
import type { InputParts } from './inputs.ts';
import type { Uploads } from './uploads.ts';

/** What serving requests takes. */
export interface FaceParts extends GateParts, InputParts {
  readonly log: Log;
  readonly uploads: Uploads;
  readonly downloads: Downloads;
  /** Requests being served: some outlive their connection by a moment. */
  readonly served: Set<Promise<unknown>>;
  /** SHA-256 of the token the trusted side brings. */
  readonly operatorDigest: Uint8Array;
  /** What agents reach the bridge by; known once it listens. */
  readonly baseUrl: () => string;
  /** Aborted as the bridge stops. */
  readonly stopping: AbortSignal;
}

/** Downloads under way. */
export interface Downloads {
  count: number;
}
