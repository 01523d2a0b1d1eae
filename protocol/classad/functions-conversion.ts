import { type BuiltIn, ofOne } from './built-in.ts';
import { lowerCase } from './letter-case.ts';
import { integerLimit } from './lexer.ts';
import { booleanValue, errorValue, integerValue, realValue, stringValue } from './scalar.ts';
import { realText } from './unparse.ts';
import type { Value } from './value.ts';

/** Longer texts are no numbers: turning very long digit strings into integers costs more than it is worth. */
const longestNumber = 400;

function isKind(name: string, kind: Value['kind']): BuiltIn {
  return ofOne(name, (value) => booleanValue(value.kind === kind));
}

/** Questions about the type of a value, and conversions. A conversion of undefined, error, a list or an ad is an error. */
export const conversionFunctions: readonly BuiltIn[] = [
  isKind('isUndefined', 'undefined'),
  isKind('isError', 'error'),
  isKind('isString', 'string'),
  isKind('isInteger', 'integer'),
  isKind('isReal', 'real'),
  isKind('isBoolean', 'boolean'),
  isKind('isList', 'list'),
  isKind('isClassAd', 'ad'),
  ofOne('int', (value) => toInteger(value, Math.trunc)),
  ofOne('floor', (value) => toInteger(value, Math.floor)),
  ofOne('ceil', (value) => toInteger(value, Math.ceil)),
  ofOne('ceiling', (value) => toInteger(value, Math.ceil)),
  ofOne('round', (value) => toInteger(value, roundHalfEven)),
  ofOne('real', (value) => {
    const number = toReal(value);
    return number === undefined ? errorValue : realValue(number);
  }),
  ofOne('string', (value) => {
    const text = toText(value);
    return text === undefined ? errorValue : stringValue(text);
  }),
  ofOne('bool', toBoolean),
];

/** The text of a value as `string()` gives it; nothing for undefined, error, lists and ads. */
export function toText(value: Value): string | undefined {
  switch (value.kind) {
    case 'string':
      return value.value;
    case 'boolean':
    case 'integer':
      return String(value.value);
    case 'real':
      return realText(value.value);
    case 'undefined':
    case 'error':
    case 'list':
    case 'ad':
      return undefined;
  }
}

/** The integer of a value as `int()` gives it, a real rounded as the caller says. */
export function toInteger(value: Value, rounded: (real: number) => number): Value {
  if (value.kind === 'integer') return value;
  const exact = value.kind === 'string' ? integerIn(value.value) : undefined;
  if (exact !== undefined) return fitting(exact);
  const real = toReal(value);
  if (real === undefined || !Number.isFinite(real)) return errorValue;
  return fitting(BigInt(rounded(real)));
}

function fitting(integer: bigint): Value {
  return integer >= -integerLimit && integer < integerLimit ? integerValue(integer) : errorValue;
}

function integerIn(text: string): bigint | undefined {
  return text.length <= longestNumber && /^[+-]?[0-9]+$/.test(text) ? BigInt(text) : undefined;
}

function toReal(value: Value): number | undefined {
  switch (value.kind) {
    case 'integer':
    case 'real':
    case 'boolean':
      return Number(value.value);
    case 'string':
      return realIn(value.value);
    case 'undefined':
    case 'error':
    case 'list':
    case 'ad':
      return undefined;
  }
}

const namedReals: ReadonlyMap<string, number> = new Map([
  ['inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['nan', Number.NaN],
]);

function realIn(text: string): number | undefined {
  if (text.length > longestNumber) return undefined;
  if (/^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text)) return Number(text);
  return namedReals.get(lowerCase(text));
}

function roundHalfEven(real: number): number {
  const below = Math.floor(real);
  const rest = real - below;
  if (rest === 0.5) return below % 2 === 0 ? below : below + 1;
  return rest < 0.5 ? below : below + 1;
}

function toBoolean(value: Value): Value {
  switch (value.kind) {
    case 'boolean':
      return value;
    case 'integer':
      return booleanValue(value.value !== 0n);
    case 'real':
      return Number.isNaN(value.value) ? errorValue : booleanValue(value.value !== 0);
    case 'string': {
      const word = value.value.length <= 5 ? lowerCase(value.value) : '';
      return word === 'true' || word === 'false' ? booleanValue(word === 'true') : errorValue;
    }
    case 'undefined':
    case 'error':
    case 'list':
    case 'ad':
      return errorValue;
  }
}
