/**
 * The closed union of stable error codes. Codes are the interface: programs, tests and people rely on them; message text may change.
 * `docs/errors.md` says for each what it means and what to do next.
 */
export type ErrorCode =
  | 'AGENT_CORRUPT'
  | 'AGENT_IN_USE'
  | 'ATTEMPT_CLOSED'
  | 'ATTEMPT_NOT_LIVE'
  | 'BAD_SIGNATURE'
  | 'BANNED'
  | 'BUS_CLOSED'
  | 'CAPABILITY_EXPIRED'
  | 'CAPABILITY_INVALID'
  | 'CAPABILITY_WRONG_ATTEMPT'
  | 'CAPABILITY_WRONG_FILE'
  | 'CAPABILITY_WRONG_KEY'
  | 'CAPABILITY_WRONG_VERB'
  | 'CLASSAD_SYNTAX'
  | 'CONFLICT'
  | 'COOLING_DOWN'
  | 'DIGEST_MISMATCH'
  | 'DPOP_INVALID'
  | 'DPOP_NONCE_REQUIRED'
  | 'DPOP_REPLAYED'
  | 'ENROLMENT_REFUSED'
  | 'ENROLMENT_UNAVAILABLE'
  | 'FILE_EXISTS'
  | 'FRAME_TOO_LARGE'
  | 'HANDSHAKE_FAILED'
  | 'IDENTITY_EXPIRED'
  | 'INTERNAL'
  | 'INVALID_CAMPAIGN'
  | 'INVALID_CODE'
  | 'INVALID_CONFIGURATION'
  | 'INVALID_CONTEXT'
  | 'INVALID_HISTOGRAM'
  | 'INVALID_REQUEST'
  | 'JDL_SYNTAX'
  | 'LAUNCH_REFUSED'
  | 'LEDGER_CORRUPT'
  | 'LEDGER_FULL'
  | 'LEDGER_IN_USE'
  | 'LEDGER_UNAVAILABLE'
  | 'LENGTH_REQUIRED'
  | 'MALFORMED_MESSAGE'
  | 'MALFORMED_REQUEST'
  | 'NAME_COLLISION'
  | 'NAME_REFUSED'
  | 'NOT_AUTHORIZED'
  | 'NOT_FOUND'
  | 'OFFSET_MISMATCH'
  | 'OTHER_OWNER'
  | 'PORT_TAKEN'
  | 'QUARANTINED'
  | 'QUEUE_CORRUPT'
  | 'QUEUE_FULL'
  | 'QUEUE_IN_USE'
  | 'QUEUE_UNAVAILABLE'
  | 'QUOTA_EXCEEDED'
  | 'RANGE_NOT_SATISFIABLE'
  | 'RATE_LIMITED'
  | 'RESULT_REFUSED'
  | 'REVOKED'
  | 'STALE_COUNTER'
  | 'STORAGE_BUSY'
  | 'STORAGE_CORRUPT'
  | 'STORAGE_FULL'
  | 'STORAGE_IN_USE'
  | 'SUPERSEDED'
  | 'TIMEOUT'
  | 'TOO_MANY_AGENTS'
  | 'TOO_MANY_ATTEMPTS'
  | 'UNKNOWN_KIND'
  | 'UNREACHABLE'
  | 'UNSUPPORTED'
  | 'UPLOAD_BUSY'
  | 'UPLOAD_STALLED';

/** The one error class of the project; always pass the `cause` when translating another error. */
export class CoPilotError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CoPilotError';
    this.code = code;
  }
}

/** Turns any caught value into a `CoPilotError`: our own pass through, everything else is our fault, `INTERNAL`. */
export function toCoPilotError(caught: unknown): CoPilotError {
  if (caught instanceof CoPilotError) return caught;
  const message = caught instanceof Error ? caught.message : String(caught);
  return new CoPilotError('INTERNAL', message, { cause: caught });
}
