import { evaluate } from './evaluate.ts';
import type { Ad, Expression } from './expression.ts';
import { truthOf } from './operators.ts';

/**
 * Whether a job's requirements accept a host: only TRUE or a number other than zero does; false, undefined, error, strings and
 * whatever goes over the budget do not.
 */
export function matches(requirements: Expression, jobAd: Ad, hostAd: Ad): boolean {
  return truthOf(evaluate(requirements, { my: jobAd, target: hostAd })) === 'true';
}
