import { CoPilotError, type ErrorCode } from '../../protocol/errors.ts';

/** What this program itself finds wrong with a database; `postgresError` adds the place and the next step. */
export class PostgresFault extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.name = 'PostgresFault';
    this.code = code;
  }
}

/** Another transaction was in the way; the same commands may be tried again at once (postgresql.org/docs/current/errcodes-appendix.html). */
const IN_THE_WAY: ReadonlySet<string> = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '23505', // unique_violation: another broker made the row that was not there when we looked
]);

const LOCK_NOT_AVAILABLE = '55P03';
const DISK_FULL = '53100';
/** Classes of conditions, by the first two characters. */
const CONNECTION = '08';
const AUTHORIZATION = '28';
const RESOURCES = '53';
const INTERVENTION = '57';
const DAMAGE = 'XX';
/** Conditions with which the server closes the connection. */
const ENDS_SESSION = /^(?:08|57P|25P0[345])/;
const WRONG_DATABASE: ReadonlySet<string> = new Set(['3D000', '42501']);

export function isInTheWay(caught: unknown): boolean {
  return IN_THE_WAY.has(sqlState(caught));
}

/** Whether the fault is the connection's alone, and a new one may do better. */
export function isConnectionLost(caught: unknown): boolean {
  if (caught instanceof CoPilotError || caught instanceof PostgresFault || isOurs(caught)) return false;
  return !isRefusal(caught);
}

/** Whether the server refused a statement and the session goes on; anything else leaves open what became of it. */
export function isRefusal(caught: unknown): boolean {
  const state = sqlState(caught);
  return isSqlState(state) && !ENDS_SESSION.test(state);
}

export function isLockTimeout(caught: unknown): boolean {
  return sqlState(caught) === LOCK_NOT_AVAILABLE;
}

/** Turns what the database or its client throws into our codes. `place` names the database without its password. */
export function postgresError(caught: unknown, place: string): CoPilotError {
  if (caught instanceof CoPilotError) return caught;
  const detail = caught instanceof Error ? caught.message : String(caught);
  const code = codeOf(caught);
  return new CoPilotError(code, describe(code, place, detail), { cause: caught });
}

function codeOf(caught: unknown): ErrorCode {
  if (caught instanceof PostgresFault) return caught.code;
  const state = sqlState(caught);
  // The client's own errors, and those of sockets, have no such state: the connection is gone or was never there.
  if (!isSqlState(state)) return isOurs(caught) ? 'INTERNAL' : 'LEDGER_UNAVAILABLE';
  if (state === DISK_FULL) return 'LEDGER_FULL';
  if (isInTheWay(caught) || isLockTimeout(caught)) return 'LEDGER_UNAVAILABLE';
  if (WRONG_DATABASE.has(state)) return 'INVALID_CONFIGURATION';
  switch (state.slice(0, 2)) {
    case CONNECTION:
    case RESOURCES:
    case INTERVENTION:
      return 'LEDGER_UNAVAILABLE';
    case AUTHORIZATION:
      return 'INVALID_CONFIGURATION';
    case DAMAGE:
      return 'LEDGER_CORRUPT';
    default:
      return state.startsWith('25') ? 'LEDGER_UNAVAILABLE' : 'INTERNAL';
  }
}

function isOurs(caught: unknown): boolean {
  return !(caught instanceof Error) || caught instanceof TypeError || caught instanceof RangeError;
}

function isSqlState(text: string): boolean {
  return /^[0-9A-Z]{5}$/.test(text);
}

/** The state of what the server said; empty for the system's errors, whose codes may look alike (EPIPE). */
function sqlState(caught: unknown): string {
  if (!(caught instanceof Error) || 'syscall' in caught || !('code' in caught)) return '';
  return typeof caught.code === 'string' ? caught.code : '';
}

function describe(code: ErrorCode, place: string, detail: string): string {
  switch (code) {
    case 'LEDGER_IN_USE':
      return `the ledger ${place} has a broker of this name already: stop that one, or give this one a name of its own (${detail})`;
    case 'LEDGER_CORRUPT':
      return `the ledger ${place} is damaged and was left as it is: restore the database from a backup (${detail})`;
    case 'LEDGER_FULL':
      return `no space left for the ledger ${place}: free some on the database's host, nothing was lost and work goes on by itself (${detail})`;
    case 'UNSUPPORTED':
      return `the ledger ${place} cannot be used by this version: run the newer one (${detail})`;
    case 'INVALID_CONFIGURATION':
      return `the ledger ${place} cannot be used as it is configured (${detail})`;
    case 'CONFLICT':
      return `the ledger ${place} is not empty: nothing was changed (${detail})`;
    case 'INTERNAL':
      return `the ledger met a fault of its own, nothing was changed (${detail})`;
    default:
      return `the ledger ${place} cannot be reached or does not answer: it is tried again; look at the database (${detail})`;
  }
}
