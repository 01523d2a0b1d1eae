import { CoPilotError } from '../../../protocol/errors.ts';
import { parseJson } from '../../../protocol/parse-json.ts';
import type { FrameworkAnswer } from '../kit/framework-http.ts';
import type { Heard } from './panda-client.ts';
import type { Json } from './panda-job.ts';

export type Fields = Readonly<Record<string, unknown>>;

const MAX_SHOWN = 200;
const MEANINGS: Readonly<Record<number, string>> = {
  10: 'PanDA timed out (10)',
  30: 'PanDA failed (30)',
  50: 'PanDA calls the update invalid (50)',
  60: 'PanDA refuses our role (60)',
  70: 'PanDA gives no permission (70)',
};

/**
 * The text of a whole answer of PanDA's. 403 is `NOT_AUTHORIZED`, with PanDA's reason; every other status but 200 is `UNREACHABLE`,
 * for a gateway in front of it says so too.
 */
export function textOfAnswer({ status, body }: FrameworkAnswer): string {
  const text = body.toString();
  if (status === 200) return text;
  if (status === 401 || status === 403)
    throw new CoPilotError('NOT_AUTHORIZED', `PanDA refuses us: ${shown(text)}`);
  throw new CoPilotError('UNREACHABLE', `PanDA answers ${status}: ${shown(text)}`);
}

/** An object of JSON, whatever type the answer says it has: PanDA serves JSON as text/plain. */
export function objectOf(text: string): Fields {
  const value = parseJson(text);
  if (isFields(value)) return value;
  throw new CoPilotError('UNREACHABLE', `PanDA's answer is none of PanDA: ${shown(text)}`);
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

/** What the data of an update's answer say: `success` alone says nothing. */
export function heardOf(data: Fields): Heard {
  const code = data['StatusCode'];
  const number = typeof code === 'string' ? Number(code) : code;
  if (number !== 0)
    return {
      kind: 'not-heard',
      why: MEANINGS[Number(number)] ?? `PanDA answers StatusCode ${shown(String(code))}`,
    };
  const command = data['command'];
  return { kind: 'heard', command: typeof command === 'string' ? command.slice(0, MAX_SHOWN) : 'NULL' };
}

/** A text from outside as it may stand in a sentence: one line of printable characters. */
export function shown(text: string): string {
  return text
    .replaceAll(/[^ -~]+/gu, ' ')
    .slice(0, MAX_SHOWN)
    .trim();
}

/** `YYYY-MM-DD HH:MM:SS`, the one form that PanDA reads; another is dropped and nobody is told. */
export function timeText(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ');
}

/** What came out of `JSON.parse` is JSON; nothing is null. */
export function jsonOf(value: unknown): Json {
  return value === undefined ? null : (value as Json);
}
