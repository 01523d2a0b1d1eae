import { type Budget, exhaust, spend, spendCharacters } from './budget.ts';
import { allStrings, type BuiltIn } from './built-in.ts';
import { toText } from './functions-conversion.ts';
import { lowerCase } from './letter-case.ts';
import { maxItems, maxStringLength } from './limits.ts';
import { errorValue, integerValue, stringValue } from './scalar.ts';
import type { Value } from './value.ts';

/** Functions that put texts together, take them apart and compare them. */
export const wordFunctions: readonly BuiltIn[] = [
  { name: 'join', fewest: 1, most: maxItems, apply: join },
  { name: 'split', fewest: 1, most: 2, apply: split },
  { name: 'strcmp', fewest: 2, most: 2, apply: (values, budget) => compared(values, (text) => text, budget) },
  { name: 'stricmp', fewest: 2, most: 2, apply: (values, budget) => compared(values, lowerCase, budget) },
];

/** Undefined items are passed over; one that has no text makes the whole an error. */
function join(values: readonly Value[], budget: Budget): Value {
  const [first, second] = values;
  if (values.length === 1) return first?.kind === 'list' ? joined('', first.items, budget) : errorValue;
  const separator = first === undefined ? undefined : toText(first);
  if (separator === undefined) return errorValue;
  const only = values.length === 2 && second?.kind === 'list' ? second.items : values.slice(1);
  return joined(separator, only, budget);
}

function joined(separator: string, items: readonly Value[], budget: Budget): Value {
  let text = '';
  let isFirst = true;
  for (const item of items) {
    if (item.kind === 'undefined') continue;
    const part = toText(item);
    if (part === undefined || !spendCharacters(budget, separator.length + part.length)) return errorValue;
    text += isFirst ? part : separator + part;
    isFirst = false;
    if (text.length > maxStringLength) {
      exhaust(budget);
      return errorValue;
    }
  }
  return stringValue(text);
}

function split(values: readonly Value[], budget: Budget): Value {
  const [text, separators = ' \t\r\n\v\f'] = allStrings(values) ?? [];
  if (text === undefined || !spendCharacters(budget, 8 * text.length + separators.length)) return errorValue;
  const words = wordsOf(text, separators);
  if (words.length <= maxItems && spend(budget, words.length))
    return { kind: 'list', items: words.map(stringValue) };
  exhaust(budget);
  return errorValue;
}

/** The words between separators, each character of which separates; there are no empty words. */
export function wordsOf(text: string, separators: string): readonly string[] {
  const between = new Set(separators);
  const words: string[] = [];
  let word = '';
  for (const character of text) {
    if (!between.has(character)) word += character;
    else if (word !== '') {
      words.push(word);
      word = '';
    }
  }
  return word === '' ? words : [...words, word];
}

function compared(values: readonly Value[], normalized: (text: string) => string, budget: Budget): Value {
  const [left, right] = values.map(toText);
  if (left === undefined || right === undefined || !spendCharacters(budget, left.length + right.length))
    return errorValue;
  const [one, other] = [normalized(left), normalized(right)];
  if (one === other) return integerValue(0);
  return integerValue(one < other ? -1 : 1);
}
