import { type Json, pythonRepr, pythonText, urlEncode } from './python-values.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
}

const TEXT = 'text/plain';
const JSON_TYPE = 'application/json';

export const textAnswer = (status: number, body: string): HttpAnswer => ({ status, type: TEXT, body });

/** The envelope of API v1. */
export function envelope(success: boolean, message = '', data: Json = null): Record<string, Json> {
  return { success, message, data };
}

/** API v1: JSON where either header is exactly that, the text of Python's dict otherwise; text/plain in any case. */
export function answerV1(
  value: Json,
  headers: { readonly type: string; readonly accept: string },
): HttpAnswer {
  const isJson = headers.type === JSON_TYPE || headers.accept === JSON_TYPE;
  return textAnswer(200, isJson ? JSON.stringify(value) : pythonRepr(value));
}

/** The legacy API: JSON where `Accept` contains it, `k=v&k=v` otherwise. */
export function answerLegacy(fields: Readonly<Record<string, Json>>, accept: string): HttpAnswer {
  return accept.includes(JSON_TYPE)
    ? { status: 200, type: JSON_TYPE, body: JSON.stringify(fields) }
    : textAnswer(200, urlEncode(fields));
}

/** Some legacy methods answer a bare Python value: booleans as words. */
export function answerBare(value: Json): HttpAnswer {
  return textAnswer(200, typeof value === 'boolean' ? pythonText(value) : JSON.stringify(value));
}
