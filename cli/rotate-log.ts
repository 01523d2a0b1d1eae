import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';

/** How much of a log is kept: the file that is written, and so many older ones of that size. */
export interface LogBounds {
  readonly maxBytes: number;
  readonly olderFiles: number;
}

export const DEFAULT_LOG_BOUNDS: LogBounds = { maxBytes: 16 * 1024 * 1024, olderFiles: 4 };

/**
 * Moves what is in a log aside once it is larger than its bound, as `log.1`, older ones one further, the oldest away. The
 * program goes on writing to the file it has open, which is emptied: it must append. Answers whether anything was moved.
 */
export function rotateLog(path: string, { maxBytes, olderFiles }: LogBounds): boolean {
  if (!existsSync(path) || statSync(path).size <= maxBytes) return false;
  for (let number = olderFiles - 1; number >= 1; number -= 1) {
    if (existsSync(`${path}.${number}`)) renameSync(`${path}.${number}`, `${path}.${number + 1}`);
  }
  if (olderFiles > 0) {
    copyFileSync(path, `${path}.1`);
    copyRest(path, `${path}.1`);
  }
  truncateSync(path, 0);
  return true;
}

/** What was written while the copy was made: without this, a busy log would lose some lines at each turn. */
function copyRest(from: string, to: string): void {
  const buffer = Buffer.alloc(64 * 1024);
  const source = openSync(from, 'r');
  const target = openSync(to, 'a');
  try {
    let at = statSync(to).size;
    for (;;) {
      const bytes = readSync(source, buffer, 0, buffer.length, at);
      if (bytes === 0) return;
      writeSync(target, buffer, 0, bytes);
      at += bytes;
    }
  } finally {
    closeSync(source);
    closeSync(target);
  }
}
