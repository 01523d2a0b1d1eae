import type { Budget } from './budget.ts';
import { spend } from './budget.ts';
import { type BuiltIn, ofOne } from './built-in.ts';
import type { StrictOperator } from './expression.ts';
import { lowerCase } from './letter-case.ts';
import { applyStrict, isIdentical } from './operators.ts';
import { booleanValue, errorValue, integerValue, realValue, undefinedValue } from './scalar.ts';
import type { Value } from './value.ts';

/**
 * Functions of lists. `member` and `identicalMember` take element and list in either order when exactly one of the two is
 * a list: AliEn writes the list first, HTCondor the element. The sums skip undefined items; a list of nothing else gives undefined.
 */
export const listFunctions: readonly BuiltIn[] = [
  { name: 'member', fewest: 2, most: 2, apply: member },
  { name: 'identicalMember', fewest: 2, most: 2, apply: identicalMember },
  ...(['sum', 'avg', 'min', 'max'] as const).map((how) =>
    ofOne(how, (value, budget) => foldList(how, value, budget)),
  ),
  { name: 'anyCompare', fewest: 3, most: 3, apply: (values, budget) => compareAll(values, 'any', budget) },
  { name: 'allCompare', fewest: 3, most: 3, apply: (values, budget) => compareAll(values, 'all', budget) },
];

const comparisons: ReadonlyMap<string, StrictOperator> = new Map([
  ['<', '<'],
  ['<=', '<='],
  ['==', '=='],
  ['!=', '!='],
  ['>', '>'],
  ['>=', '>='],
  ['is', '=?='],
  ['isnt', '=!='],
  ['=?=', '=?='],
  ['=!=', '=!='],
]);

/** Whether any, or every, item of a list compares to a value; a comparison that is not TRUE does not count. */
function compareAll(values: readonly Value[], how: 'any' | 'all', budget: Budget): Value {
  const [name, list, value] = values;
  if (name?.kind === 'undefined' || list?.kind === 'undefined') return undefinedValue;
  const operator = name?.kind === 'string' ? comparisons.get(lowerCase(name.value)) : undefined;
  if (operator === undefined || list?.kind !== 'list' || value === undefined) return errorValue;
  if (value.kind === 'list' || value.kind === 'ad' || !spend(budget, list.items.length)) return errorValue;
  const holds = (item: Value): boolean => {
    const result = applyStrict(operator, item, value, budget);
    return result.kind === 'boolean' && result.value;
  };
  return booleanValue(how === 'any' ? list.items.some(holds) : list.items.every(holds));
}

/** Sum, average, least or greatest of a list of numbers. */
export function foldList(how: 'sum' | 'avg' | 'min' | 'max', list: Value, budget: Budget): Value {
  switch (how) {
    case 'sum':
      return fold(list, budget, integerValue(0), (items) => items.reduce(add(budget)));
    case 'avg':
      return fold(list, budget, realValue(0), (items) => average(items, budget));
    case 'min':
      return fold(list, budget, undefinedValue, (items) => pick('<', items, budget));
    case 'max':
      return fold(list, budget, undefinedValue, (items) => pick('>', items, budget));
  }
}

interface Membership {
  readonly items: readonly Value[];
  readonly element: Value;
}

function membership(values: readonly Value[]): Membership | undefined {
  const [first, second] = values;
  if (first === undefined || second === undefined) return undefined;
  if (second.kind === 'list') return { items: second.items, element: first };
  return first.kind === 'list' ? { items: first.items, element: second } : undefined;
}

function member(values: readonly Value[], budget: Budget): Value {
  if (values.some((value) => value.kind === 'error')) return errorValue;
  if (values.some((value) => value.kind === 'undefined')) return undefinedValue;
  return search(values, budget, (item, element) => {
    const equal = applyStrict('==', item, element, budget);
    return equal.kind === 'boolean' && equal.value;
  });
}

function identicalMember(values: readonly Value[], budget: Budget): Value {
  const hasList = values.some((value) => value.kind === 'list');
  if (!hasList && values.some((value) => value.kind === 'undefined')) return undefinedValue;
  return search(values, budget, (item, element) => isIdentical(item, element, budget));
}

function search(
  values: readonly Value[],
  budget: Budget,
  found: (item: Value, element: Value) => boolean,
): Value {
  const question = membership(values);
  if (question === undefined) return errorValue;
  const { items, element } = question;
  if (element.kind === 'list' || element.kind === 'ad' || !spend(budget, items.length)) return errorValue;
  return booleanValue(items.some((item) => found(item, element)));
}

function fold(
  list: Value,
  budget: Budget,
  ofNothing: Value,
  combine: (items: readonly Value[]) => Value,
): Value {
  if (list.kind === 'undefined') return undefinedValue;
  if (list.kind !== 'list' || !spend(budget, list.items.length)) return errorValue;
  if (list.items.length === 0) return ofNothing;
  const items = list.items.filter((item) => item.kind !== 'undefined');
  if (items.length === 0) return undefinedValue;
  return items.every((item) => item.kind === 'integer' || item.kind === 'real') ? combine(items) : errorValue;
}

function add(budget: Budget): (sum: Value, item: Value) => Value {
  return (sum, item) => applyStrict('+', sum, item, budget);
}

function average(items: readonly Value[], budget: Budget): Value {
  return applyStrict('/', items.reduce(add(budget)), realValue(items.length), budget);
}

/** The result is real as soon as any item is. */
function pick(operator: '<' | '>', items: readonly Value[], budget: Budget): Value {
  const best = items.reduce((so, item) => {
    const better = applyStrict(operator, item, so, budget);
    return better.kind === 'boolean' && better.value ? item : so;
  });
  return best.kind === 'integer' && items.some((item) => item.kind === 'real')
    ? realValue(Number(best.value))
    : best;
}
