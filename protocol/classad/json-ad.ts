import { CoPilotError } from '../errors.ts';
import type { Ad, Attribute } from './expression.ts';
import { maxItems, maxStringLength } from './limits.ts';
import { isAttributeName } from './names.ts';
import { booleanValue, errorValue, integerValue, realValue, type Scalar, stringValue } from './scalar.ts';

/**
 * Makes an ad of literals. A safe integer becomes an integer, any other finite number a real, one that is not finite the
 * error value; a string is text and is never parsed. Throws `CLASSAD_SYNTAX` for a name that cannot be an attribute's, two
 * names that differ only in case, more than `maxItems` attributes or a string above `maxStringLength`.
 */
export function adFromJson(record: Readonly<Record<string, string | number | boolean>>): Ad {
  const entries = Object.entries(record);
  if (entries.length > maxItems)
    throw new CoPilotError('CLASSAD_SYNTAX', `an ad has more than ${maxItems} attributes`);
  const attributes = new Map<string, Attribute>();
  for (const [name, value] of entries) {
    checkEntry(attributes, name, value);
    attributes.set(name.toLowerCase(), { name, expression: { kind: 'literal', value: scalarOf(value) } });
  }
  return { attributes };
}

function checkEntry(
  attributes: ReadonlyMap<string, Attribute>,
  name: string,
  value: string | number | boolean,
): void {
  const shown = JSON.stringify(name.slice(0, 40));
  if (!isAttributeName(name))
    throw new CoPilotError('CLASSAD_SYNTAX', `${shown} cannot be the name of an attribute`);
  if (attributes.has(name.toLowerCase()))
    throw new CoPilotError('CLASSAD_SYNTAX', `the attribute ${shown} is given twice`);
  if (typeof value === 'string' && value.length > maxStringLength) {
    throw new CoPilotError(
      'CLASSAD_SYNTAX',
      `the attribute ${shown} is longer than ${maxStringLength} characters`,
    );
  }
}

function scalarOf(value: string | number | boolean): Scalar {
  if (typeof value === 'string') return stringValue(value);
  if (typeof value === 'boolean') return booleanValue(value);
  if (Number.isSafeInteger(value)) return integerValue(value);
  return Number.isFinite(value) ? realValue(value) : errorValue;
}
