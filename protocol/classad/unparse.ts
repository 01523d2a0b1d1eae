import type { Ad, BinaryExpression, Expression } from './expression.ts';
import { scopeName } from './names.ts';
import { binaryLevel, conditionalLevel, loosestBinaryLevel, postfixLevel, unaryLevel } from './precedence.ts';
import type { Scalar } from './scalar.ts';

/**
 * Writes an expression so that parsing it gives the same expression again. `?:` always stands in parentheses, because
 * readers of the language disagree on how tightly it binds.
 */
export function unparse(expression: Expression): string {
  return write(expression, conditionalLevel);
}

/** Writes an ad as `[ name = expression; ... ]`, on one line. */
export function unparseAd(ad: Ad): string {
  const attributes = [...ad.attributes.values()];
  if (attributes.length === 0) return '[ ]';
  return `[ ${attributes.map(({ name, expression }) => `${name} = ${unparse(expression)}`).join('; ')} ]`;
}

/** A real number as the language writes it: always with a point or an exponent. */
export function realText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const text = String(value);
  if (!Number.isFinite(value)) return text.replace('Infinity', 'INF');
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function write(expression: Expression, level: number): string {
  const text = writeBare(expression);
  return levelOf(expression) < level ? `(${text})` : text;
}

function levelOf(expression: Expression): number {
  switch (expression.kind) {
    case 'conditional':
      return conditionalLevel;
    case 'binary':
      return binaryLevel(expression.operator);
    case 'unary':
      return unaryLevel;
    case 'literal':
      return isNegative(expression.value) ? unaryLevel : postfixLevel;
    case 'attribute':
    case 'select':
    case 'index':
    case 'call':
    case 'elvis':
    case 'list':
    case 'ad':
      return postfixLevel;
  }
}

function writeBare(expression: Expression): string {
  switch (expression.kind) {
    case 'literal':
      return writeScalar(expression.value);
    case 'attribute':
      return expression.scope === undefined ? expression.name : `${expression.scope}.${expression.name}`;
    case 'select':
      return `${writeBase(expression.base)}.${expression.name}`;
    case 'index':
      return `${write(expression.base, postfixLevel)}[${unparse(expression.index)}]`;
    case 'call':
      return `${expression.name}(${expression.parameters.map(unparse).join(', ')})`;
    case 'unary':
      return `${expression.operator}${write(expression.operand, unaryLevel)}`;
    case 'binary':
      return writeBinary(expression);
    case 'elvis':
      return `(${write(expression.value, postfixLevel)} ?: ${write(expression.fallback, postfixLevel)})`;
    case 'conditional':
      return `${write(expression.condition, loosestBinaryLevel)} ? ${unparse(expression.yes)} : ${unparse(expression.no)}`;
    case 'list':
      return `{${expression.items.map(unparse).join(', ')}}`;
    case 'ad':
      return unparseAd(expression.ad);
  }
}

/** An attribute that is called like a scope needs parentheses before the point, or it would be read as the scope. */
function writeBase(base: Expression): string {
  const text = write(base, postfixLevel);
  return base.kind === 'attribute' && base.scope === undefined && scopeName(base.name) !== undefined
    ? `(${text})`
    : text;
}

function writeBinary(expression: BinaryExpression): string {
  const links: BinaryExpression[] = [];
  let first: Expression = expression;
  while (first.kind === 'binary') {
    links.push(first);
    first = first.left;
  }
  let textLevel = levelOf(first);
  let text = writeBare(first);
  for (const link of links.reverse()) {
    const level = binaryLevel(link.operator);
    const left = textLevel < level ? `(${text})` : text;
    text = `${left} ${link.operator} ${write(link.right, level + 1)}`;
    textLevel = level;
  }
  return text;
}

function isNegative(value: Scalar): boolean {
  if (value.kind === 'integer') return value.value < 0n;
  return (
    value.kind === 'real' && (value.value < 0 || Object.is(value.value, -0)) && Number.isFinite(value.value)
  );
}

function writeScalar(value: Scalar): string {
  switch (value.kind) {
    case 'undefined':
    case 'error':
      return value.kind;
    case 'boolean':
    case 'integer':
      return String(value.value);
    case 'real':
      return Number.isFinite(value.value) ? realText(value.value) : `real("${realText(value.value)}")`;
    case 'string':
      return `"${value.value.replace(/["\\\p{Cc}]/gu, escaped)}"`;
  }
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\t', '\\t'],
  ['\r', '\\r'],
  ['\b', '\\b'],
  ['\f', '\\f'],
]);

function escaped(character: string): string {
  return escapes.get(character) ?? `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
}
