import type { Budget } from './budget.ts';
import { conversionFunctions } from './functions-conversion.ts';
import { listFunctions } from './functions-list.ts';
import { numberFunctions } from './functions-number.ts';
import { patternFunctions } from './functions-pattern.ts';
import { stringListFunctions } from './functions-string-list.ts';
import { textFunctions } from './functions-text.ts';
import { timeFunctions } from './functions-time.ts';
import { versionFunctions } from './functions-version.ts';
import { wordFunctions } from './functions-words.ts';
import { lowerCase } from './letter-case.ts';
import { errorValue } from './scalar.ts';
import type { BuiltIn } from './built-in.ts';
import type { Value, World } from './value.ts';

const builtIns: ReadonlyMap<string, BuiltIn> = new Map(
  [
    ...conversionFunctions,
    ...listFunctions,
    ...numberFunctions,
    ...patternFunctions,
    ...stringListFunctions,
    ...textFunctions,
    ...timeFunctions,
    ...versionFunctions,
    ...wordFunctions,
  ].map((builtIn) => [lowerCase(builtIn.name), builtIn]),
);

/**
 * Calls a built-in function by name, in any case. An unknown function or a wrong number of parameters gives the error
 * value and evaluates nothing. `ifThenElse`, `unparse` and `eval` are not here: the evaluator keeps them, because they look at
 * expressions, not at values. Times are integers; absTime and relTime are left out.
 */
export function callFunction(
  name: string,
  parameters: () => readonly Value[],
  count: number,
  { budget, world }: { readonly budget: Budget; readonly world: World | undefined },
): Value {
  const builtIn = builtIns.get(lowerCase(name));
  if (builtIn === undefined || count < builtIn.fewest || count > builtIn.most) return errorValue;
  const values = parameters();
  return budget.exhausted ? errorValue : builtIn.apply(values, budget, world);
}
