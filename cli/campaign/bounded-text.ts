import { open } from 'node:fs/promises';
import type { Problem } from './problem.ts';

/** The text of a file, read no further than the bound; a problem of the whole file where it cannot be had. */
export async function readBoundedText(path: string, maxBytes: number): Promise<string | Problem> {
  try {
    await using file = await open(path);
    const buffer = Buffer.alloc(maxBytes + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > maxBytes) return unreadable(`is over ${maxBytes} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, bytesRead));
  } catch (caught) {
    if (caught instanceof TypeError) return unreadable('is not UTF-8 text');
    const code = caught instanceof Error && 'code' in caught ? String(caught.code) : '';
    return unreadable(code === 'ENOENT' ? 'is not there' : `cannot be read (${code})`);
  }
}

function unreadable(message: string): Problem {
  return { line: 1, column: 1, field: '', message: `the file ${message}` };
}
