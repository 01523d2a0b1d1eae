/** A value as Python's `json` module reads it: a number with a point or an exponent is a `PythonFloat`, never an int. */
export type PythonValue =
  | null
  | boolean
  | number
  | string
  | PythonFloat
  | readonly PythonValue[]
  | { readonly [name: string]: PythonValue };

export class PythonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** What an answer is made of. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json | undefined };

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/** Reads JSON and keeps ints and floats apart, as Python does. Throws `SyntaxError`. */
export function parsePython(text: string): PythonValue {
  const revive: Reviver = (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && /[.eE]/u.test(source)
      ? new PythonFloat(value)
      : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown) as PythonValue;
}

/** The same without the difference between ints and floats. */
export function plain(value: PythonValue): Json {
  if (value instanceof PythonFloat) return value.value;
  if (isList(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, plain(entry)]));
}

export function isList<T = unknown>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

/** `type(value).__name__` */
export function typeName(value: PythonValue): string {
  if (value === null) return 'NoneType';
  if (value instanceof PythonFloat) return 'float';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'int';
  if (typeof value === 'string') return 'str';
  return isList(value) ? 'list' : 'dict';
}

/** `str(value)` */
export function pythonText(value: Json | undefined): string {
  return typeof value === 'string' ? value : pythonRepr(value);
}

/** `repr(value)` */
export function pythonRepr(value: Json | undefined): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return quoted(value);
  if (isList<Json>(value)) return `[${value.map(pythonRepr).join(', ')}]`;
  const entries = Object.entries(value).map(([name, entry]) => `${quoted(name)}: ${pythonRepr(entry)}`);
  return `{${entries.join(', ')}}`;
}

function quoted(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return escaped.includes("'") && !escaped.includes('"')
    ? `"${escaped}"`
    : `'${escaped.replaceAll("'", "\\'")}'`;
}

/** `urllib.parse.urlencode(fields)` */
export function urlEncode(fields: Readonly<Record<string, Json | undefined>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${quotePlus(name)}=${quotePlus(pythonText(value))}`)
    .join('&');
}

function quotePlus(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/gu, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
