import { CoPilotError, type ErrorCode } from '../../../protocol/errors.ts';

/** A result of a command: its keys without the spaces that some servers have at their end, every value a string. */
export type JalienRow = ReadonlyMap<string, string>;

export interface JalienReply {
  readonly exitcode: number;
  readonly error: string;
  readonly rows: readonly JalienRow[];
}

const MOST_ROWS = 100_000;

/** Throws `UNREACHABLE` for what is no whole reply. */
export function jalienReply(text: string): JalienReply {
  const value = objectIn(text);
  const metadata: unknown = value?.get('metadata');
  const results: unknown = value?.get('results') ?? [];
  const meta = mapOf(metadata);
  const exitcode = meta?.get('exitcode');
  if (meta === undefined || !Array.isArray(results) || results.length > MOST_ROWS || !isNumber(exitcode))
    throw new CoPilotError('UNREACHABLE', 'JAliEn answers with something that is no reply');
  const error = meta.get('error');
  return {
    exitcode: Number(exitcode),
    error: typeof error === 'string' ? withoutColours(error).slice(0, 300) : '',
    rows: results.flatMap((row) => rowOf(row) ?? []),
  };
}

/** Linux error numbers in our words. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  1: 'NOT_AUTHORIZED',
  2: 'NOT_FOUND',
  3: 'NOT_FOUND',
  13: 'NOT_AUTHORIZED',
  17: 'CONFLICT',
  22: 'UNSUPPORTED',
  53: 'RESULT_REFUSED',
  61: 'NOT_FOUND',
  77: 'CONFLICT',
  122: 'QUOTA_EXCEEDED',
  126: 'NOT_AUTHORIZED',
};

/** The refusal a reply is; a number that means nothing to us may pass, and is `UNREACHABLE`. */
export function jalienRefusal(command: string, { exitcode, error }: JalienReply): CoPilotError {
  const code = CODES[exitcode] ?? 'UNREACHABLE';
  return new CoPilotError(code, `JAliEn refuses ${command} with ${exitcode}: ${error}`);
}

function isNumber(value: unknown): value is string {
  return typeof value === 'string' && /^-?[0-9]{1,6}$/.test(value);
}

function rowOf(value: unknown): JalienRow | undefined {
  const fields = mapOf(value);
  if (fields === undefined) return undefined;
  return new Map(
    [...fields].flatMap(([key, text]) => (typeof text === 'string' ? [[key.trim(), text]] : [])),
  );
}

function objectIn(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    return mapOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function mapOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? new Map<string, unknown>(Object.entries(value)) : undefined;
}

function withoutColours(text: string): string {
  return text.replace(/\u001b\[[0-9;]*m/g, '').replace(/[\u0000-\u001f\u007f]/g, ' ');
}
