import type { ScopeName } from './expression.ts';
import { maxNameLength } from './limits.ts';
import { errorValue, falseValue, type Scalar, trueValue, undefinedValue } from './scalar.ts';

const keywords: ReadonlyMap<string, Scalar> = new Map([
  ['true', trueValue],
  ['false', falseValue],
  ['undefined', undefinedValue],
  ['error', errorValue],
]);

const wordOperators: ReadonlyMap<string, string> = new Map([
  ['is', '=?='],
  ['isnt', '=!='],
]);

/** The value a word stands for, in any case; nothing for a name. */
export function keywordValue(word: string): Scalar | undefined {
  return keywords.get(word.toLowerCase());
}

/** The operator a word stands for, in any case. */
export function wordOperator(word: string): string | undefined {
  return wordOperators.get(word.toLowerCase());
}

/** The scope a word stands for before a point, in any case. */
export function scopeName(word: string): ScopeName | undefined {
  const lower = word.toLowerCase();
  return lower === 'my' || lower === 'self' || lower === 'target' || lower === 'other' ? lower : undefined;
}

/** Whether a text can be the name of an attribute: letters, digits and `_`, at most `maxNameLength`, no word of the language. */
export function isAttributeName(text: string): boolean {
  if (text.length > maxNameLength || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(text)) return false;
  return keywordValue(text) === undefined && wordOperator(text) === undefined;
}
