import { type Budget, spend, spendCharacters } from './budget.ts';
import { allStrings, type BuiltIn } from './built-in.ts';
import { foldList } from './functions-list.ts';
import { wordsOf } from './functions-words.ts';
import { lowerCase } from './letter-case.ts';
import {
  booleanValue,
  errorValue,
  falseValue,
  integerValue,
  realValue,
  trueValue,
  undefinedValue,
} from './scalar.ts';
import type { Value } from './value.ts';

const defaultSeparators = ', ';

type Normalize = (word: string) => string;
const asWritten: Normalize = (word) => word;

/** Functions of lists that are written in one string; every character of the delimiter separates, empty words do not count. */
export const stringListFunctions: readonly BuiltIn[] = [
  listedIn('stringListMember', asWritten),
  listedIn('stringListIMember', lowerCase),
  ofWords('stringListSize', (words) => integerValue(words.length)),
  ofNumbers('stringListSum', 'sum', integerValue(0)),
  ofNumbers('stringListAvg', 'avg', realValue(0)),
  ofNumbers('stringListMin', 'min', undefinedValue),
  ofNumbers('stringListMax', 'max', undefinedValue),
  ofTwoLists('stringListsIntersect', (mine, theirs) => [...mine].some((word) => theirs.has(word)), asWritten),
  subset('stringListSubsetMatch', asWritten),
  subset('stringListISubsetMatch', lowerCase),
];

function ofWords(name: string, apply: (words: readonly string[], budget: Budget) => Value): BuiltIn {
  return {
    name,
    fewest: 1,
    most: 2,
    apply(values, budget) {
      const [list, separators = defaultSeparators] = allStrings(values) ?? [];
      if (list === undefined || !pay(budget, list, separators)) return errorValue;
      return apply(wordsOf(list, separators), budget);
    },
  };
}

function ofNumbers(name: string, fold: 'sum' | 'avg' | 'min' | 'max', ofNothing: Value): BuiltIn {
  return ofWords(name, (words, budget) => {
    if (words.length === 0) return ofNothing;
    const numbers = words.map(numberIn);
    return numbers.every((number) => number !== undefined)
      ? foldList(fold, { kind: 'list', items: numbers }, budget)
      : errorValue;
  });
}

function numberIn(word: string): Value | undefined {
  if (/^[+-]?[0-9]{1,18}$/.test(word)) return integerValue(BigInt(word));
  return /^[+-]?(?:[0-9]{1,300}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$/.test(word)
    ? realValue(Number(word))
    : undefined;
}

function listedIn(name: string, normalized: Normalize): BuiltIn {
  return {
    name,
    fewest: 2,
    most: 3,
    apply(values, budget) {
      const [item, list, separators = defaultSeparators] = allStrings(values) ?? [];
      if (item === undefined || list === undefined || !pay(budget, item, list, separators)) return errorValue;
      const wanted = normalized(item);
      return booleanValue(wordsOf(list, separators).some((word) => normalized(word) === wanted));
    },
  };
}

function ofTwoLists(
  name: string,
  holds: (mine: ReadonlySet<string>, theirs: ReadonlySet<string>) => boolean,
  normalized: Normalize,
): BuiltIn {
  return {
    name,
    fewest: 2,
    most: 3,
    apply(values, budget) {
      if (values.some((value) => value.kind === 'error')) return errorValue;
      if (values.some((value) => value.kind === 'undefined')) return undefinedValue;
      const [mine, theirs, separators = defaultSeparators] = allStrings(values) ?? [];
      if (mine === undefined || theirs === undefined || !pay(budget, mine, theirs, separators))
        return errorValue;
      const sets = [mine, theirs].map((list) => new Set(wordsOf(list, separators).map(normalized)));
      return booleanValue(holds(sets[0] ?? new Set(), sets[1] ?? new Set()));
    },
  };
}

/** An undefined first list is empty; nothing is in an undefined second one. */
function subset(name: string, normalized: Normalize): BuiltIn {
  const among = ofTwoLists(name, (mine, theirs) => [...mine].every((word) => theirs.has(word)), normalized);
  return {
    ...among,
    apply(values, budget, world) {
      const [mine, theirs, ...rest] = values;
      if (mine?.kind === 'undefined' && theirs?.kind === 'string') return trueValue;
      if (mine?.kind === 'string' && theirs?.kind === 'undefined') return falseValue;
      return among.apply([mine ?? errorValue, theirs ?? errorValue, ...rest], budget, world);
    },
  };
}

function pay(budget: Budget, ...texts: readonly string[]): boolean {
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  return spendCharacters(budget, 8 * characters) && spend(budget, 1);
}
