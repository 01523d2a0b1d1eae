import type { Budget } from './budget.ts';
import { spend } from './budget.ts';
import { type BuiltIn, ofOne } from './built-in.ts';
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
  ofOne('sum', (value, budget) => fold(value, budget, integerValue(0), (items) => items.reduce(add(budget)))),
  ofOne('avg', (value, budget) => fold(value, budget, realValue(0), (items) => average(items, budget))),
  ofOne('min', (value, budget) => fold(value, budget, undefinedValue, (items) => pick('<', items, budget))),
  ofOne('max', (value, budget) => fold(value, budget, undefinedValue, (items) => pick('>', items, budget))),
];

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
