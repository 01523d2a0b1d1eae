import type { Budget } from './budget.ts';
import type { Value, World } from './value.ts';

/** A function of the language: how many parameters it takes, and what it makes of their values. */
export interface BuiltIn {
  readonly name: string;
  readonly fewest: number;
  readonly most: number;
  /** Gets between `fewest` and `most` values. Never throws; pays for work that grows with its input from the budget. */
  apply(values: readonly Value[], budget: Budget, world: World | undefined): Value;
}

/** A function of exactly one parameter. */
export function ofOne(name: string, apply: (value: Value, budget: Budget) => Value): BuiltIn {
  return {
    name,
    fewest: 1,
    most: 1,
    apply: (values, budget) => values.map((value) => apply(value, budget))[0] ?? { kind: 'error' },
  };
}

/** The texts when every value is a string, otherwise nothing. */
export function allStrings(values: readonly Value[]): readonly string[] | undefined {
  const texts: string[] = [];
  for (const value of values) {
    if (value.kind !== 'string') return undefined;
    texts.push(value.value);
  }
  return texts;
}
