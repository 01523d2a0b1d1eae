import { parseJson } from '../../protocol/parse-json.ts';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { PilotRequest } from './pilot-exchange.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Largest request as the pilot wrote it, before compression. */
const MAX_PLAIN_BYTES = 8 * 1024 * 1024;
const JSON_TYPE = 'application/json';

/** What a request says: gunzipped JSON, or a form. Undefined where it is neither, or too much. */
export function decodeFields({ contentType, body }: PilotRequest): Fields | undefined {
  if (contentType !== JSON_TYPE) return Object.fromEntries(new URLSearchParams(body.toString()));
  try {
    const value = parseJson(gunzipSync(body, { maxOutputLength: MAX_PLAIN_BYTES }).toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // no gzip, or too much of it
  }
}

/** The body that says this, as the request said it. */
export function encodeFields({ contentType }: PilotRequest, fields: Fields): Buffer {
  if (contentType === JSON_TYPE) return gzipSync(JSON.stringify(fields));
  const texts = Object.entries(fields).map(([name, value]): [string, string] => [name, String(value)]);
  return Buffer.from(new URLSearchParams(texts).toString());
}

/** Whether a body unpacks to more than so much; one that does not unpack at all is not too much. */
export function unpacksTo({ contentType, body }: PilotRequest, moreThan: number): boolean {
  if (contentType !== JSON_TYPE) return body.length > moreThan;
  try {
    return gunzipSync(body, { maxOutputLength: MAX_PLAIN_BYTES }).length > moreThan;
  } catch (caught) {
    return caught instanceof RangeError;
  }
}

/** A member of what may be an object. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? new Map<string, unknown>(Object.entries(value)).get(name)
    : undefined;
}

/** The items of what may be a list. */
export function itemsOf(value: unknown): readonly unknown[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  return items;
}
