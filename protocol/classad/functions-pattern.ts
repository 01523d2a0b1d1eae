import { type Budget, exhaust } from './budget.ts';
import { allStrings, type BuiltIn } from './built-in.ts';
import { lowerCase } from './letter-case.ts';
import { maxStringLength } from './limits.ts';
import { type Match, patternMatches, patternParts } from './pattern.ts';
import { booleanValue, errorValue, falseValue, stringValue, trueValue, undefinedValue } from './scalar.ts';
import type { Value } from './value.ts';

/**
 * Functions of regular expressions, of the RE2 dialect. In a substitute, a backslash and a digit stand for a group of the match.
 * Options beside those of the pattern: `f` gives the whole text with the substitute in it, `g` replaces every match.
 */
export const patternFunctions: readonly BuiltIn[] = [
  { name: 'regexp', fewest: 2, most: 3, apply: regexp },
  { name: 'regexpMember', fewest: 2, most: 3, apply: regexpMember },
  { name: 'regexps', fewest: 3, most: 4, apply: (values, budget) => substituted(values, '', budget) },
  { name: 'replace', fewest: 3, most: 4, apply: (values, budget) => substituted(values, 'f', budget) },
  { name: 'replaceAll', fewest: 3, most: 4, apply: (values, budget) => substituted(values, 'fg', budget) },
];

/** What a missing value makes of the whole: an error before undefined. */
function missing(values: readonly Value[]): Value | undefined {
  if (values.some((value) => value.kind === 'error')) return errorValue;
  return values.some((value) => value.kind === 'undefined') ? undefinedValue : undefined;
}

function regexp(values: readonly Value[], budget: Budget): Value {
  const [pattern, text, options = ''] = allStrings(values) ?? [];
  if (pattern === undefined || text === undefined) return missing(values) ?? errorValue;
  const matched = patternMatches(pattern, text, options, budget);
  return matched === undefined ? errorValue : booleanValue(matched);
}

/** Whether any text of a list matches; undefined where none does and one of them is undefined. */
function regexpMember(values: readonly Value[], budget: Budget): Value {
  const [pattern, list, options = stringValue('')] = values;
  if (pattern?.kind !== 'string' || list?.kind !== 'list' || options.kind !== 'string')
    return missing(values) ?? errorValue;
  let isUncertain = false;
  for (const item of list.items) {
    if (item.kind === 'undefined') isUncertain = true;
    else {
      const verdict = regexp([pattern, item, options], budget);
      if (verdict.kind !== 'boolean' || verdict.value)
        return verdict.kind === 'boolean' ? trueValue : errorValue;
    }
  }
  return isUncertain ? undefinedValue : falseValue;
}

function substituted(values: readonly Value[], always: string, budget: Budget): Value {
  const [pattern, text, substitute, options = ''] = allStrings(values) ?? [];
  if (pattern === undefined || text === undefined || substitute === undefined)
    return missing(values) ?? errorValue;
  const letters = new Set(lowerCase(options) + always);
  const parts = patternParts(pattern, text, options, { all: letters.has('g'), budget });
  if (parts === undefined) return errorValue;
  const result = assembled(text, parts, substitute, letters.has('f'));
  if (result === undefined) return errorValue;
  if (result.length <= maxStringLength) return stringValue(result);
  exhaust(budget);
  return errorValue;
}

function assembled(
  text: string,
  matches: readonly Match[],
  substitute: string,
  isWhole: boolean,
): string | undefined {
  let result = '';
  let at = 0;
  for (const match of matches) {
    const insert = expanded(substitute, match.groups);
    if (insert === undefined) return undefined;
    result += isWhole ? text.slice(at, match.start) + insert : insert;
    at = match.end;
    if (result.length > maxStringLength) return result;
  }
  return isWhole ? result + text.slice(at) : result;
}

/** Nothing where the substitute names a group that the pattern does not have. */
function expanded(substitute: string, groups: readonly string[]): string | undefined {
  let text = '';
  let at = 0;
  for (const { 0: whole, 1: digit, index } of substitute.matchAll(/\\([0-9])/g)) {
    const group = groups[Number(digit)];
    if (group === undefined) return undefined;
    text += substitute.slice(at, index) + group;
    at = index + whole.length;
  }
  return text + substitute.slice(at);
}
