import { nearestName } from '../campaign/nearest-name.ts';
import type { FieldPath } from '../campaign/problem.ts';

/** A fault that no single value shows. */
export interface CrossFault {
  readonly path: FieldPath;
  readonly message: string;
}

/** A fault where a name is none of those that there are. */
export function known(
  name: string,
  { what, names }: { readonly what: string; readonly names: readonly string[] },
  path: FieldPath,
): readonly CrossFault[] {
  if (names.includes(name)) return [];
  const nearest = nearestName(name, names);
  const right = nearest === undefined ? `known are ${names.join(', ')}` : `did you mean ${nearest}?`;
  return [{ path, message: `there is no ${what} ${name}; ${right}` }];
}
