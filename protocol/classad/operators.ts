import { type Budget, spend, spendCharacters } from './budget.ts';
import type { StrictOperator, UnaryOperator } from './expression.ts';
import { lowerCase } from './letter-case.ts';
import { booleanValue, errorValue, integerValue, realValue, type Scalar, undefinedValue } from './scalar.ts';
import { unparse } from './unparse.ts';
import type { Value } from './value.ts';

/** What a value means as a condition: numbers count as booleans, strings, lists, ads and not-a-number are errors. */
export type Truth = 'true' | 'false' | 'undefined' | 'error';

export function truthOf(value: Value): Truth {
  switch (value.kind) {
    case 'boolean':
      return value.value ? 'true' : 'false';
    case 'integer':
      return value.value !== 0n ? 'true' : 'false';
    case 'real':
      if (Number.isNaN(value.value)) return 'error';
      return value.value !== 0 ? 'true' : 'false';
    case 'undefined':
      return 'undefined';
    case 'error':
    case 'string':
    case 'list':
    case 'ad':
      return 'error';
  }
}

export function applyUnary(operator: UnaryOperator, operand: Value): Value {
  if (operand.kind === 'undefined') return undefinedValue;
  if (operator === '!') return negated(truthOf(operand));
  const number = toNumber(operand);
  if (number === undefined) return errorValue;
  if (operator === '+') return number;
  if (number.kind === 'real') return operator === '-' ? realValue(-number.value) : errorValue;
  return integerValue(operator === '-' ? -number.value : ~number.value);
}

/** Applies an operator that always looks at both operands. */
export function applyStrict(operator: StrictOperator, left: Value, right: Value, budget: Budget): Value {
  if (operator === '=?=') return booleanValue(isIdentical(left, right, budget));
  if (operator === '=!=') return booleanValue(!isIdentical(left, right, budget));
  if (left.kind === 'error' || right.kind === 'error') return errorValue;
  if (left.kind === 'undefined' || right.kind === 'undefined') return undefinedValue;
  switch (operator) {
    case '<':
    case '<=':
    case '>':
    case '>=':
    case '==':
    case '!=':
      return compare(operator, left, right, budget);
    case '&':
    case '|':
    case '^':
    case '<<':
    case '>>':
    case '>>>':
      return applyBitwise(operator, left, right);
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return applyArithmetic(operator, left, right);
  }
}

/** Equal in type and value, letter case included; true or false for any two values. */
export function isIdentical(left: Value, right: Value, budget: Budget): boolean {
  switch (left.kind) {
    case 'undefined':
    case 'error':
      return right.kind === left.kind;
    case 'boolean':
    case 'integer':
    case 'real':
      return right.kind === left.kind && right.value === left.value;
    case 'string':
      if (right.kind !== 'string' || !spendCharacters(budget, left.value.length)) return false;
      return right.value === left.value;
    case 'list':
      return right.kind === 'list' && areListsIdentical(left.items, right.items, budget);
    case 'ad':
      return right.kind === 'ad' && areAdsIdentical(left, right, budget);
  }
}

function areListsIdentical(left: readonly Value[], right: readonly Value[], budget: Budget): boolean {
  if (left.length !== right.length || !spend(budget, left.length)) return false;
  return left.every((item, at) => {
    const other = right[at];
    return other !== undefined && isIdentical(item, other, budget);
  });
}

type AdValue = Extract<Value, { kind: 'ad' }>;

const adComparisonSteps = 64;

/** Two ads are identical when they have the same names bound to expressions that are written the same. */
function areAdsIdentical(left: AdValue, right: AdValue, budget: Budget): boolean {
  const [mine, theirs] = [left.scope.ad.attributes, right.scope.ad.attributes];
  if (mine.size !== theirs.size || !spend(budget, adComparisonSteps)) return false;
  return [...mine].every(([name, { expression }]) => {
    const other = theirs.get(name);
    return other !== undefined && unparse(other.expression) === unparse(expression);
  });
}

function negated(truth: Truth): Scalar {
  if (truth === 'error') return errorValue;
  return truth === 'undefined' ? undefinedValue : booleanValue(truth === 'false');
}

type NumberValue = Extract<Scalar, { kind: 'integer' | 'real' }>;

function toNumber(value: Value): NumberValue | undefined {
  if (value.kind === 'boolean') return { kind: 'integer', value: value.value ? 1n : 0n };
  return value.kind === 'integer' || value.kind === 'real' ? value : undefined;
}

type Comparison = '<' | '<=' | '>' | '>=' | '==' | '!=';

function compare(operator: Comparison, left: Value, right: Value, budget: Budget): Value {
  if (left.kind === 'string' && right.kind === 'string') {
    if (!spendCharacters(budget, left.value.length + right.value.length)) return errorValue;
    return booleanValue(holds(operator, lowerCase(left.value), lowerCase(right.value)));
  }
  const [first, second] = [toNumber(left), toNumber(right)];
  if (first === undefined || second === undefined) return errorValue;
  if (first.kind === 'integer' && second.kind === 'integer') {
    return booleanValue(holds(operator, first.value, second.value));
  }
  return booleanValue(holds(operator, Number(first.value), Number(second.value)));
}

function holds<Comparable extends bigint | number | string>(
  operator: Comparison,
  left: Comparable,
  right: Comparable,
): boolean {
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    case '==':
      return left === right;
    case '!=':
      return left !== right;
  }
}

type Arithmetic = '+' | '-' | '*' | '/' | '%';

function applyArithmetic(operator: Arithmetic, left: Value, right: Value): Value {
  const [first, second] = [toNumber(left), toNumber(right)];
  if (first === undefined || second === undefined) return errorValue;
  if ((operator === '/' || operator === '%') && Number(second.value) === 0) return errorValue;
  if (first.kind === 'integer' && second.kind === 'integer') {
    return integerValue(integerResult(operator, first.value, second.value));
  }
  return realValue(realResult(operator, Number(first.value), Number(second.value)));
}

function integerResult(operator: Arithmetic, left: bigint, right: bigint): bigint {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '%':
      return left % right;
  }
}

function realResult(operator: Arithmetic, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '%':
      return left % right;
  }
}

type Bitwise = '&' | '|' | '^' | '<<' | '>>' | '>>>';

function applyBitwise(operator: Bitwise, left: Value, right: Value): Value {
  const [first, second] = [toNumber(left), toNumber(right)];
  if (first?.kind !== 'integer' || second?.kind !== 'integer') return errorValue;
  if (operator === '<<' || operator === '>>' || operator === '>>>')
    return shift(operator, first.value, second.value);
  const bits = bitwiseResult(operator, first.value, second.value);
  return left.kind === 'boolean' && right.kind === 'boolean' ? booleanValue(bits !== 0n) : integerValue(bits);
}

function bitwiseResult(operator: '&' | '|' | '^', left: bigint, right: bigint): bigint {
  if (operator === '&') return left & right;
  return operator === '|' ? left | right : left ^ right;
}

/** The distance must be 0 to 63: beyond that machines disagree, and a huge one would exhaust memory. */
function shift(operator: '<<' | '>>' | '>>>', value: bigint, distance: bigint): Value {
  if (distance < 0n || distance > 63n) return errorValue;
  if (operator === '<<') return integerValue(value << distance);
  return integerValue((operator === '>>' ? value : BigInt.asUintN(64, value)) >> distance);
}
