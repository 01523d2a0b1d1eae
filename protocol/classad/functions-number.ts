import type { BuiltIn } from './built-in.ts';
import { integerLimit } from './lexer.ts';
import { errorValue, integerValue, realValue } from './scalar.ts';
import type { Value } from './value.ts';

/** Integer powers whose exponent is above this overflow for every base but -1, 0 and 1. */
const largestExponent = 64n;

/** A base nearer to zero than this is none (HTCondor's `quantize`). */
const smallestBase = 1e-8;

/** Arithmetic by name. `random` needs the world; without one it is an error. */
export const numberFunctions: readonly BuiltIn[] = [
  { name: 'pow', fewest: 2, most: 2, apply: ([base, exponent]) => power(base, exponent) },
  { name: 'quantize', fewest: 2, most: 2, apply: ([value, base]) => quantize(value, base) },
  {
    name: 'random',
    fewest: 0,
    most: 1,
    apply: ([below], _budget, world) =>
      world === undefined ? errorValue : randomBelow(world.random(), below),
  },
];

function power(base: Value | undefined, exponent: Value | undefined): Value {
  if (base?.kind === 'integer' && exponent?.kind === 'integer' && exponent.value >= 0n)
    return integerPower(base.value, exponent.value);
  const [first, second] = [numberOf(base), numberOf(exponent)];
  return first === undefined || second === undefined ? errorValue : realValue(first ** second);
}

function integerPower(base: bigint, exponent: bigint): Value {
  const isSmall = base >= -1n && base <= 1n;
  if (isSmall) return integerValue(exponent === 0n ? 1n : base ** (2n - (exponent % 2n)));
  if (exponent > largestExponent) return errorValue;
  const result = base ** exponent;
  return result >= -integerLimit && result < integerLimit ? integerValue(result) : errorValue;
}

/** The smallest multiple of the base that is not below the value; of a list, its first number that is not, else by its last. */
function quantize(value: Value | undefined, base: Value | undefined): Value {
  const number = numberOf(value);
  if (value === undefined || number === undefined || base === undefined) return errorValue;
  if (base.kind !== 'list') return multiple(value, number, base);
  let last: Value | undefined;
  for (const item of base.items) {
    const bound = numberOf(item);
    if (bound === undefined) return errorValue;
    if (bound >= number) return item;
    last = item;
  }
  return last === undefined ? errorValue : multiple(value, number, last);
}

function multiple(value: Value, number: number, base: Value): Value {
  const step = numberOf(base);
  if (step === undefined) return errorValue;
  if (base.kind === 'integer' && value.kind === 'integer') {
    if (base.value === 0n) return value;
    return integerValue(((value.value + base.value - 1n) / base.value) * base.value);
  }
  if (Math.abs(step) <= smallestBase) return value;
  return realValue(Math.ceil(number / step) * step);
}

function randomBelow(fraction: number, below: Value | undefined): Value {
  if (below === undefined) return realValue(fraction);
  if (below.kind === 'real') return realValue(fraction * below.value);
  if (below.kind !== 'integer' || below.value <= 0n) return errorValue;
  return integerValue(BigInt(Math.floor(fraction * Number(below.value))) % below.value);
}

function numberOf(value: Value | undefined): number | undefined {
  return value?.kind === 'integer' || value?.kind === 'real' ? Number(value.value) : undefined;
}
