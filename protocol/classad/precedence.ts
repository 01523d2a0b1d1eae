import type { BinaryOperator } from './expression.ts';

/** How tightly each binary operator binds, 1 the loosest; all of them group to the left. */
const levels: Readonly<Record<BinaryOperator, number>> = {
  '||': 1,
  '&&': 2,
  '|': 3,
  '^': 4,
  '&': 5,
  '==': 6,
  '!=': 6,
  '=?=': 6,
  '=!=': 6,
  '<': 7,
  '<=': 7,
  '>': 7,
  '>=': 7,
  '<<': 8,
  '>>': 8,
  '>>>': 8,
  '+': 9,
  '-': 9,
  '*': 10,
  '/': 10,
  '%': 10,
};

export const conditionalLevel = 0;
export const loosestBinaryLevel = 1;
export const unaryLevel = 11;
export const postfixLevel = 12;

export function binaryLevel(operator: BinaryOperator): number {
  return levels[operator];
}

export function isBinaryOperator(symbol: string): symbol is BinaryOperator {
  return Object.hasOwn(levels, symbol);
}
