/** What the bridge bounds beside the ceiling on bytes. Times in milliseconds. */
export interface BridgeLimits {
  /** A body that brings nothing for so long is ended. */
  readonly idleMs: number;
  /** A request's headers are complete by then. */
  readonly headersMs: number;
  /** A body slower than this on the whole is ended, so that dribbling holds no place for long. */
  readonly minimumBytesPerSecond: number;
  /** No single request uploads for longer, which also bounds an upload that was open when its capability ended (I6). */
  readonly maxUploadMs: number;
  readonly uploadsPerAttempt: number;
  readonly uploads: number;
  readonly downloads: number;
  readonly connections: number;
  /** How long a nonce is good; proofs are remembered as long. */
  readonly nonceMs: number;
  /** Proofs remembered at once; when there are more, every nonce handed out so far ends. */
  readonly proofs: number;
  /** How long `stop` waits for what is running before it cuts connections. */
  readonly stopGraceMs: number;
}

export const DEFAULT_LIMITS: BridgeLimits = {
  idleMs: 30_000,
  headersMs: 10_000,
  minimumBytesPerSecond: 4096,
  maxUploadMs: 3_600_000,
  uploadsPerAttempt: 4,
  uploads: 256,
  downloads: 256,
  connections: 2048,
  nonceMs: 300_000,
  proofs: 100_000,
  stopGraceMs: 5_000,
};
