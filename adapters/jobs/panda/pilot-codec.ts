import { parseJson } from '../../../protocol/parse-json.ts';
import { gunzipSync } from 'node:zlib';
import { type Fields, isFields } from './answer-reader.ts';
import type { Json } from './panda-job.ts';

/** A request of a pilot, as its agent's end point took it. */
export interface PilotCall {
  readonly accept: string;
  /** Every value as text: what a form carries, and what the legacy API makes of JSON. */
  readonly fields: Readonly<Record<string, string>>;
}

/** What the pilot's HTTP gets. */
export interface PilotAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const JSON_TYPE = 'application/json';
const MAX_UNZIPPED_BYTES = 1024 * 1024;

export type DecodedCall =
  | { readonly kind: 'call'; readonly call: PilotCall }
  | { readonly kind: 'answer'; readonly answer: PilotAnswer };

/** Undefined where the text is no request. JSON is gunzipped whatever any header says, as the legacy API does it. */
export function decodeCall(text: string): DecodedCall | undefined {
  const request = parseJson(text);
  if (!isFields(request)) return undefined;
  const { contentType, accept, body } = request;
  if (typeof contentType !== 'string' || typeof accept !== 'string' || typeof body !== 'string')
    return undefined;
  const bytes = Buffer.from(body, 'base64');
  if (contentType !== JSON_TYPE)
    return {
      kind: 'call',
      call: { accept, fields: Object.fromEntries(new URLSearchParams(bytes.toString())) },
    };
  const fields = unzipped(bytes);
  return fields === undefined
    ? {
        kind: 'answer',
        answer: { status: 500, contentType: 'text/plain', body: 'ERROR : received invalid JSON' },
      }
    : { kind: 'call', call: { accept, fields: textsOf(fields) } };
}

export function encodeAnswer({ status, contentType, body }: PilotAnswer): string {
  return JSON.stringify({ status, contentType, body: Buffer.from(body).toString('base64') });
}

/** The legacy API: JSON where `Accept` contains it, `k=v&k=v` otherwise. */
export function legacyAnswer(accept: string, fields: Readonly<Record<string, Json>>): PilotAnswer {
  return accept.includes(JSON_TYPE)
    ? { status: 200, contentType: JSON_TYPE, body: JSON.stringify(fields) }
    : { status: 200, contentType: 'text/plain', body: formOf(fields) };
}

/** As Python's `urlencode` writes it, byte for byte. */
function formOf(fields: Readonly<Record<string, Json>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${quoted(name)}=${quoted(pythonText(value))}`)
    .join('&');
}

function quoted(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/gu, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `str(value)` in Python. */
function pythonText(value: Json): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function unzipped(bytes: Buffer): Fields | undefined {
  try {
    const value = parseJson(gunzipSync(bytes, { maxOutputLength: MAX_UNZIPPED_BYTES }).toString());
    return isFields(value) ? value : undefined;
  } catch {
    return undefined; // not gzip, or larger than any update
  }
}

function textsOf(fields: Fields): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'string'
        ? value
        : value === true
          ? 'True'
          : value === false
            ? 'False'
            : JSON.stringify(value),
    ]),
  );
}
