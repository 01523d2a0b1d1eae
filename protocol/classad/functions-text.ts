import { type Budget, exhaust, spendCharacters } from './budget.ts';
import { type BuiltIn, ofOne } from './built-in.ts';
import { toText } from './functions-conversion.ts';
import { lowerCase, upperCase } from './letter-case.ts';
import { maxItems, maxStringLength } from './limits.ts';
import { errorValue, integerValue, stringValue, undefinedValue } from './scalar.ts';
import type { Value } from './value.ts';

/** Functions of strings. Lengths and offsets count characters (code points); case means the letters A to Z. */
export const textFunctions: readonly BuiltIn[] = [
  { name: 'strcat', fewest: 0, most: maxItems, apply: concatenate },
  ofOne('toUpper', (value, budget) => changed(value, upperCase, budget)),
  ofOne('toLower', (value, budget) => changed(value, lowerCase, budget)),
  { name: 'substr', fewest: 2, most: 3, apply: substring },
  ofOne('size', sizeOf),
];

function concatenate(values: readonly Value[], budget: Budget): Value {
  let text = '';
  for (const value of values) {
    const part = toText(value);
    if (part === undefined || !spendCharacters(budget, part.length)) return errorValue;
    if (text.length + part.length > maxStringLength) {
      exhaust(budget);
      return errorValue;
    }
    text += part;
  }
  return stringValue(text);
}

function changed(value: Value, change: (text: string) => string, budget: Budget): Value {
  const text = toText(value);
  if (text === undefined || !spendCharacters(budget, text.length)) return errorValue;
  return stringValue(change(text));
}

/** A negative offset counts from the end; a negative length leaves out that many characters at the end. */
function substring(values: readonly Value[], budget: Budget): Value {
  const [text, offset, length] = values;
  if (text?.kind !== 'string' || offset?.kind !== 'integer' || !spendCharacters(budget, text.value.length))
    return errorValue;
  if (length !== undefined && length.kind !== 'integer') return errorValue;
  const characters = Array.from(text.value);
  const start = Number(offset.value);
  const from = Math.max(0, start < 0 ? characters.length + start : start);
  const wanted = length === undefined ? characters.length : Number(length.value);
  const to = wanted < 0 ? characters.length + wanted : from + wanted;
  return stringValue(characters.slice(from, Math.max(from, to)).join(''));
}

function sizeOf(value: Value, budget: Budget): Value {
  switch (value.kind) {
    case 'undefined':
      return undefinedValue;
    case 'string':
      return spendCharacters(budget, value.value.length)
        ? integerValue(Array.from(value.value).length)
        : errorValue;
    case 'list':
      return integerValue(value.items.length);
    case 'ad':
      return integerValue(value.scope.ad.attributes.size);
    case 'error':
    case 'boolean':
    case 'integer':
    case 'real':
      return errorValue;
  }
}
