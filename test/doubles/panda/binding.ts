import type { Argument, ArgumentType, Signature } from './signatures.ts';
import { isList, type Json, type PythonValue, PythonFloat, plain, typeName } from './python-values.ts';

export type Bound =
  | { readonly kind: 'bound'; readonly values: Readonly<Record<string, Json>> }
  | { readonly kind: 'refused'; readonly message: string };

type Given = Readonly<Record<string, PythonValue>>;

/** Binds arguments as `inspect.signature(...).bind` does, then holds them against their types; messages to the byte. */
export function bindArguments({ method, arguments: wanted }: Signature, given: Given): Bound {
  const missing = wanted.find(({ name, isRequired }) => isRequired && !(name in given));
  if (missing !== undefined) return refused(`Argument error: missing a required argument: '${missing.name}'`);
  const unknown = Object.keys(given).find((name) => !wanted.some((argument) => argument.name === name));
  if (unknown !== undefined)
    return refused(`Argument error: got an unexpected keyword argument '${unknown}'`);
  const values: Record<string, Json> = {};
  for (const argument of wanted) {
    const value = given[argument.name];
    if (value === undefined || value === argument.fallback) {
      values[argument.name] = argument.fallback;
      continue;
    }
    const bound = method === 'GET' ? cast(argument, value) : strict(argument, value);
    if (typeof bound === 'string') return refused(bound);
    values[argument.name] = bound.value;
  }
  return { kind: 'bound', values };
}

function refused(message: string): Bound {
  return { kind: 'refused', message };
}

const PYTHON_NAMES: Readonly<Record<ArgumentType, string>> = {
  int: 'int',
  str: 'str',
  bool: 'bool',
  number: 'int | float',
  ints: 'list',
  dicts: 'list',
  any: 'object',
};

/** A query has only text: each value is cast, ints by way of floats. */
function cast(argument: Argument, value: PythonValue): string | { readonly value: Json } {
  const wrong = `Type error: '${argument.name}' could not be casted to type ${PYTHON_NAMES[argument.type]}.`;
  if (value === 'None') return { value: null };
  switch (argument.type) {
    case 'int': {
      const number = typeof value === 'string' && value !== '' ? Math.trunc(Number(value)) : Number.NaN;
      return Number.isNaN(number) ? wrong : { value: number };
    }
    case 'number':
      return Number.isNaN(Number(value)) ? wrong : { value: Number(value) };
    case 'bool':
      return { value: value === 'true' || value === '1' || value === 'True' };
    case 'ints': {
      const items = (isList<PythonValue>(value) ? value : [value]).map(Number);
      return items.some(Number.isNaN) ? wrong : { value: items };
    }
    case 'str':
    case 'dicts':
    case 'any':
      return { value: plain(value) };
  }
}

function strict(argument: Argument, value: PythonValue): string | { readonly value: Json } {
  const name = typeName(value);
  if (!isOf(argument.type, value))
    return `Type error: '${argument.name}' must be of type ${PYTHON_NAMES[argument.type]}, got ${name}.`;
  const item = argument.type === 'ints' ? 'int' : 'dict';
  if (isList<PythonValue>(value) && !value.every((entry) => typeName(entry) === item))
    return `Type error: All elements in '${argument.name}' must be ${item}.`;
  return { value: plain(value) };
}

function isOf(type: ArgumentType, value: PythonValue): boolean {
  switch (type) {
    case 'any':
      return true;
    case 'str':
      return typeof value === 'string';
    case 'bool':
      return typeof value === 'boolean';
    // Python's bool is an int.
    case 'int':
      return typeof value === 'number' || typeof value === 'boolean';
    case 'number':
      return typeof value === 'number' || typeof value === 'boolean' || value instanceof PythonFloat;
    case 'ints':
    case 'dicts':
      return isList(value);
  }
}
