import { CoPilotError } from '../../../protocol/errors.ts';

const SQLITE_BUSY = 5;
const SQLITE_NOMEM = 7;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** What a fault of SQLite means for the queue's user, with the next step; everything else passes through. */
export function queueFault(caught: unknown, path: string): unknown {
  const code = sqliteCode(caught);
  if (code === undefined) return caught;
  switch (code & 0xff) {
    case SQLITE_BUSY:
      return fault('QUEUE_IN_USE', `another program has the local queue ${path} open; stop it first`, caught);
    case SQLITE_FULL:
      return fault(
        'QUEUE_FULL',
        `no room on the disk of the local queue ${path}; nothing was stored`,
        caught,
      );
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return fault(
        'QUEUE_CORRUPT',
        `the local queue ${path} is damaged; move it away with its -wal file and restore a copy`,
        caught,
      );
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
      return fault('QUEUE_UNAVAILABLE', `the local queue ${path} cannot be read or written`, caught);
    default:
      return caught;
  }
}

function fault(
  code: 'QUEUE_IN_USE' | 'QUEUE_FULL' | 'QUEUE_CORRUPT' | 'QUEUE_UNAVAILABLE',
  message: string,
  cause: unknown,
) {
  return new CoPilotError(code, message, { cause });
}

function sqliteCode(caught: unknown): number | undefined {
  if (!(caught instanceof Error) || !('errcode' in caught)) return undefined;
  return typeof caught.errcode === 'number' ? caught.errcode : undefined;
}
