/**
 * What one evaluation may still spend. Once anything goes over a limit the budget is exhausted for good and the whole
 * evaluation gives the error value, so that no expression can observe or mask where it was cut off.
 */
export interface Budget {
  stepsLeft: number;
  exhausted: boolean;
}

const charactersAStep = 64;

/** Spends steps; false when the budget does not have them. */
export function spend(budget: Budget, steps: number): boolean {
  budget.stepsLeft -= steps;
  if (budget.stepsLeft < 0) budget.exhausted = true;
  return !budget.exhausted;
}

/** Spends what reading or writing so many characters costs. */
export function spendCharacters(budget: Budget, characters: number): boolean {
  return spend(budget, Math.ceil(characters / charactersAStep));
}

/** Ends the evaluation: some limit other than the steps is passed. */
export function exhaust(budget: Budget): void {
  budget.exhausted = true;
}
