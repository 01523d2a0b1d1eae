import type { ErrorCode } from './errors.ts';

/** Every code our own storage answers with and the HTTP status that goes with it; anything else is `INTERNAL`, 500. */
export const STORAGE_STATUS = {
  ATTEMPT_CLOSED: 409,
  ATTEMPT_NOT_LIVE: 409,
  CAPABILITY_EXPIRED: 401,
  CAPABILITY_INVALID: 401,
  CAPABILITY_WRONG_ATTEMPT: 403,
  CAPABILITY_WRONG_FILE: 403,
  CAPABILITY_WRONG_KEY: 401,
  CAPABILITY_WRONG_VERB: 403,
  DIGEST_MISMATCH: 422,
  DPOP_INVALID: 401,
  DPOP_NONCE_REQUIRED: 401,
  DPOP_REPLAYED: 401,
  FILE_EXISTS: 409,
  INTERNAL: 500,
  LENGTH_REQUIRED: 411,
  MALFORMED_REQUEST: 400,
  NAME_COLLISION: 409,
  NAME_REFUSED: 400,
  NOT_AUTHORIZED: 401,
  NOT_FOUND: 404,
  OFFSET_MISMATCH: 409,
  QUOTA_EXCEEDED: 413,
  RANGE_NOT_SATISFIABLE: 416,
  STORAGE_BUSY: 503,
  STORAGE_FULL: 507,
  UNREACHABLE: 503,
  UPLOAD_BUSY: 409,
  UPLOAD_STALLED: 408,
} as const satisfies Partial<Record<ErrorCode, number>>;

export type StorageCode = keyof typeof STORAGE_STATUS;

/** Whether a text from the other side is one of our storage's codes. */
export function isStorageCode(text: string): text is StorageCode {
  return Object.hasOwn(STORAGE_STATUS, text);
}
