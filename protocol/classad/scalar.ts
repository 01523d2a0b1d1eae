/** Values without parts. Integers are 64-bit two's complement and wrap; reals are doubles. */
export type Scalar =
  | { readonly kind: 'undefined' }
  | { readonly kind: 'error' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'real'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string };

export const undefinedValue: Scalar = { kind: 'undefined' };
export const errorValue: Scalar = { kind: 'error' };
export const trueValue: Scalar = { kind: 'boolean', value: true };
export const falseValue: Scalar = { kind: 'boolean', value: false };

export function booleanValue(value: boolean): Scalar {
  return value ? trueValue : falseValue;
}

/** An integer value, wrapped to 64 bits. */
export function integerValue(value: bigint | number): Scalar {
  return { kind: 'integer', value: BigInt.asIntN(64, BigInt(value)) };
}

export function realValue(value: number): Scalar {
  return { kind: 'real', value };
}

export function stringValue(value: string): Scalar {
  return { kind: 'string', value };
}
