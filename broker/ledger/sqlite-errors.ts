import { CoPilotError, type ErrorCode } from '../../protocol/errors.ts';

/** SQLite's primary result codes that mean something to an operator (sqlite.org/rescode.html). */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;
/** Extended result codes keep the primary one in their low byte. */
const PRIMARY = 0xff;

/** What this program itself finds wrong with the file; `ledgerError` adds the path and the next step. */
export class LedgerFault extends Error {
  readonly code: Extract<ErrorCode, 'LEDGER_CORRUPT' | 'UNSUPPORTED'>;
  constructor(
    code: Extract<ErrorCode, 'LEDGER_CORRUPT' | 'UNSUPPORTED'>,
    detail: string,
    options?: ErrorOptions,
  ) {
    super(detail, options);
    this.name = 'LedgerFault';
    this.code = code;
  }
}

/** Turns what node:sqlite throws into our codes; the message says what to do next. */
export function ledgerError(caught: unknown, path: string): CoPilotError {
  if (caught instanceof CoPilotError) return caught;
  const detail = caught instanceof Error ? caught.message : String(caught);
  const code = codeOf(caught);
  return new CoPilotError(code, describe(code, path, detail), { cause: caught });
}

function codeOf(caught: unknown): ErrorCode {
  if (!(caught instanceof Error)) return 'INTERNAL';
  if (caught instanceof LedgerFault) return caught.code;
  if ('errcode' in caught) return codeOfResult(Number(caught.errcode) & PRIMARY);
  if ('syscall' in caught)
    return 'code' in caught && caught.code === 'ENOSPC' ? 'LEDGER_FULL' : 'LEDGER_UNAVAILABLE';
  return 'INTERNAL';
}

function codeOfResult(result: number): ErrorCode {
  switch (result) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return 'LEDGER_IN_USE';
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return 'LEDGER_CORRUPT';
    case SQLITE_FULL:
      return 'LEDGER_FULL';
    default:
      return 'LEDGER_UNAVAILABLE';
  }
}

function describe(code: ErrorCode, path: string, detail: string): string {
  switch (code) {
    case 'LEDGER_IN_USE':
      return `the ledger ${path} is in use by another broker: stop that one, or give this one a data directory of its own (${detail})`;
    case 'LEDGER_CORRUPT':
      return `the ledger ${path} is damaged and was left as it is: move it and its -wal file aside together, restore a backup or start with an empty one (${detail})`;
    case 'LEDGER_FULL':
      return `no space left for the ledger ${path}: free some, nothing was lost and work goes on by itself (${detail})`;
    case 'UNSUPPORTED':
      return `the ledger ${path} cannot be read by this version: run the newer one (${detail})`;
    case 'INTERNAL':
      return `the ledger met a fault of its own, nothing was changed (${detail})`;
    default:
      return `the ledger ${path} cannot be read or written: check the disk, then restart the broker (${detail})`;
  }
}
