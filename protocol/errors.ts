/**
 * The closed union of stable error codes. Codes are the interface: programs, tests and people rely on them; message text may change.
 * `docs/errors.md` says for each what it means and what to do next.
 */
export type ErrorCode =
  | 'ATTEMPT_NOT_LIVE'
  | 'BUS_CLOSED'
  | 'CLASSAD_SYNTAX'
  | 'CONFLICT'
  | 'ENROLMENT_REFUSED'
  | 'FRAME_TOO_LARGE'
  | 'HANDSHAKE_FAILED'
  | 'IDENTITY_EXPIRED'
  | 'INTERNAL'
  | 'INVALID_CAMPAIGN'
  | 'INVALID_CODE'
  | 'INVALID_HISTOGRAM'
  | 'INVALID_REQUEST'
  | 'LEDGER_CORRUPT'
  | 'LEDGER_FULL'
  | 'LEDGER_UNAVAILABLE'
  | 'MALFORMED_MESSAGE'
  | 'NOT_AUTHORIZED'
  | 'NOT_FOUND'
  | 'PORT_TAKEN'
  | 'QUEUE_CORRUPT'
  | 'QUEUE_FULL'
  | 'QUEUE_IN_USE'
  | 'QUEUE_UNAVAILABLE'
  | 'STALE_COUNTER'
  | 'TIMEOUT'
  | 'UNKNOWN_KIND'
  | 'UNREACHABLE'
  | 'UNSUPPORTED';

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
