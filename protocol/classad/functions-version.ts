import { type Budget, spendCharacters } from './budget.ts';
import { allStrings, type BuiltIn } from './built-in.ts';
import { booleanValue, errorValue, integerValue } from './scalar.ts';
import type { Value } from './value.ts';

function comparison(names: readonly string[], holds: (order: number) => boolean): readonly BuiltIn[] {
  return names.map((name) => ({
    name,
    fewest: 2,
    most: 2,
    apply: (values, budget) => compared(values, budget, ([order = 0]) => booleanValue(holds(order))),
  }));
}

/** Comparison of version strings, in which a number counts by its value; both spellings of the names that exist. */
export const versionFunctions: readonly BuiltIn[] = [
  {
    name: 'versioncmp',
    fewest: 2,
    most: 2,
    apply: (values, budget) => compared(values, budget, ([order = 0]) => integerValue(order)),
  },
  ...comparison(['versionLT', 'version_LT'], (order) => order < 0),
  ...comparison(['versionLE', 'version_LE'], (order) => order <= 0),
  ...comparison(['versionGT', 'version_GT'], (order) => order > 0),
  ...comparison(['versionGE', 'version_GE'], (order) => order >= 0),
  ...comparison(['versionEQ', 'version_EQ'], (order) => order === 0),
  {
    name: 'version_in_range',
    fewest: 3,
    most: 3,
    apply: (values, budget) =>
      compared(values, budget, ([low = 0, high = 0]) => booleanValue(low >= 0 && high <= 0)),
  },
];

/** Compares the first string with each of the others. */
function compared(
  values: readonly Value[],
  budget: Budget,
  result: (orders: readonly number[]) => Value,
): Value {
  const [version, ...others] = allStrings(values) ?? [];
  if (version === undefined) return errorValue;
  const characters = others.reduce((sum, other) => sum + version.length + other.length, 0);
  return spendCharacters(budget, characters)
    ? result(others.map((other) => compareVersions(version, other)))
    : errorValue;
}

/** -1, 0 or 1. Text compares by character, digits by the number they form; of two numbers the one with more leading zeros is smaller. */
function compareVersions(left: string, right: string): number {
  if (left === right) return 0;
  let split = 0;
  while (split < left.length && left[split] === right[split]) split += 1;
  let start = split;
  while (start > 0 && isDigit(left[start - 1])) start -= 1;
  const [mine, theirs] = [digitsAt(left, start), digitsAt(right, start)];
  const startsWithZero = mine.startsWith('0') || theirs.startsWith('0');
  if (mine !== '' && theirs !== '' && !startsWithZero && mine.length !== theirs.length) {
    return mine.length < theirs.length ? -1 : 1;
  }
  const onlyZeros = split > start && /^0+$/.test(left.slice(start, split));
  if (onlyZeros && isDigit(left[split]) !== isDigit(right[split])) return isDigit(left[split]) ? -1 : 1;
  return (left[split] ?? '') < (right[split] ?? '') ? -1 : 1;
}

function digitsAt(text: string, start: number): string {
  let end = start;
  while (isDigit(text[end])) end += 1;
  return text.slice(start, end);
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9';
}
