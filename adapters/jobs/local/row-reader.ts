import type { SQLOutputValue } from 'node:sqlite';
import { CoPilotError } from '../../../protocol/errors.ts';

export type SqlRow = Readonly<Record<string, SQLOutputValue>>;

/** A text column; throws `QUEUE_CORRUPT` where the file holds something else. */
export function textColumn(row: SqlRow, name: string): string {
  const value = row[name];
  if (typeof value !== 'string') throw unexpected(name);
  return value;
}

/** A number column; throws `QUEUE_CORRUPT` where the file holds something else. */
export function numberColumn(row: SqlRow, name: string): number {
  const value = row[name];
  if (typeof value !== 'number') throw unexpected(name);
  return value;
}

/** A column that holds JSON of our own writing. */
export function jsonColumn(row: SqlRow, name: string): unknown {
  try {
    const value: unknown = JSON.parse(textColumn(row, name));
    return value;
  } catch (cause) {
    throw new CoPilotError('QUEUE_CORRUPT', `column ${name} of the local queue holds no JSON`, { cause });
  }
}

function unexpected(name: string): CoPilotError {
  return new CoPilotError('QUEUE_CORRUPT', `column ${name} of the local queue holds an unexpected value`);
}
