import type { Budget } from './budget.ts';
import { conversionFunctions } from './functions-conversion.ts';
import { listFunctions } from './functions-list.ts';
import { textFunctions } from './functions-text.ts';
import { versionFunctions } from './functions-version.ts';
import { lowerCase } from './letter-case.ts';
import { errorValue } from './scalar.ts';
import type { BuiltIn } from './built-in.ts';
import type { Value } from './value.ts';

const builtIns: ReadonlyMap<string, BuiltIn> = new Map(
  [...conversionFunctions, ...listFunctions, ...textFunctions, ...versionFunctions].map((builtIn) => [
    lowerCase(builtIn.name),
    builtIn,
  ]),
);

/**
 * Calls a built-in function by name, in any case. An unknown function or a wrong number of parameters gives the error
 * value and evaluates nothing. `ifThenElse` is not here: the evaluator keeps it, because it evaluates one branch only.
 * absTime, relTime and the other functions of time are left for later.
 */
export function callFunction(
  name: string,
  parameters: () => readonly Value[],
  count: number,
  budget: Budget,
): Value {
  const builtIn = builtIns.get(lowerCase(name));
  if (builtIn === undefined || count < builtIn.fewest || count > builtIn.most) return errorValue;
  const values = parameters();
  return budget.exhausted ? errorValue : builtIn.apply(values, budget);
}
