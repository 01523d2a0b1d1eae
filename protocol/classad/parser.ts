import type { Ad, Attribute, Expression, UnaryOperator } from './expression.ts';
import { integerLimit, type Token, tokenize } from './lexer.ts';
import { maxDepth, maxItems, maxNodes } from './limits.ts';
import { keywordValue, scopeName } from './names.ts';
import { binaryLevel, isBinaryOperator, loosestBinaryLevel } from './precedence.ts';
import { integerValue, realValue, type Scalar, stringValue } from './scalar.ts';
import { syntaxError } from './syntax-error.ts';

interface Parse {
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly heights: Map<Expression, number>;
  position: number;
  depth: number;
}

/**
 * Parses one ClassAd expression. Throws `CoPilotError` `CLASSAD_SYNTAX` with line and column in the message, also for a
 * text above `maxSourceLength`, nested deeper than `maxDepth` or with more than `maxNodes` nodes.
 */
export function parseExpression(text: string): Expression {
  return parseWhole(text, conditional);
}

/** Parses one ad, `[ name = expression; ... ]`. Throws as `parseExpression` does, also for a name given twice. */
export function parseAd(text: string): Ad {
  return parseWhole(text, adBody);
}

function parseWhole<Result>(text: string, rule: (parse: Parse) => Result): Result {
  const parse: Parse = { text, tokens: tokenize(text), heights: new Map(), position: 0, depth: 0 };
  const result = rule(parse);
  if (peek(parse).kind !== 'end') throw unexpected(parse, 'an operator or the end');
  return result;
}

function conditional(parse: Parse): Expression {
  return nested(parse, () => {
    const condition = binary(parse, loosestBinaryLevel);
    if (!takeSymbol(parse, '?')) return condition;
    if (takeSymbol(parse, ':')) return elvis(parse, condition, conditional(parse));
    const yes = conditional(parse);
    expectSymbol(parse, ':');
    const no = conditional(parse);
    return node(parse, { kind: 'conditional', condition, yes, no }, [condition, yes, no]);
  });
}

function binary(parse: Parse, loosest: number): Expression {
  let left = unary(parse);
  for (;;) {
    const token = peek(parse);
    if (token.kind !== 'symbol' || !isBinaryOperator(token.value)) return left;
    const level = binaryLevel(token.value);
    if (level < loosest) return left;
    parse.position += 1;
    const right = binary(parse, level + 1);
    left = node(parse, { kind: 'binary', operator: token.value, left, right }, [left, right]);
  }
}

function unary(parse: Parse): Expression {
  const token = peek(parse);
  if (token.kind !== 'symbol' || !isUnaryOperator(token.value)) return postfix(parse);
  const operator = token.value;
  parse.position += 1;
  return nested(parse, () => {
    const smallest = operator === '-' ? takeSmallestInteger(parse) : undefined;
    return smallest ?? signed(parse, operator, unary(parse));
  });
}

/** A minus before a number is part of the number, so that negative literals survive printing and parsing. */
function signed(parse: Parse, operator: UnaryOperator, operand: Expression): Expression {
  if (operator === '-' && operand.kind === 'literal') {
    const { value } = operand;
    if (value.kind === 'integer') return literal(parse, integerValue(-value.value));
    if (value.kind === 'real') return literal(parse, realValue(-value.value));
  }
  return node(parse, { kind: 'unary', operator, operand }, [operand]);
}

function takeSmallestInteger(parse: Parse): Expression | undefined {
  const token = peek(parse);
  if (token.kind !== 'integer' || token.value !== integerLimit) return undefined;
  parse.position += 1;
  return literal(parse, integerValue(-integerLimit));
}

function postfix(parse: Parse): Expression {
  let base = primary(parse);
  for (;;) {
    if (takeSymbol(parse, '.')) {
      base = node(parse, { kind: 'select', base, name: expectName(parse) }, [base]);
    } else if (takeSymbol(parse, '[')) {
      const index = conditional(parse);
      expectSymbol(parse, ']');
      base = node(parse, { kind: 'index', base, index }, [base, index]);
    } else if (takeSymbol(parse, '?:')) {
      const fallback = nested(parse, () => postfix(parse));
      base = elvis(parse, base, fallback);
    } else {
      return base;
    }
  }
}

function elvis(parse: Parse, value: Expression, fallback: Expression): Expression {
  return node(parse, { kind: 'elvis', value, fallback }, [value, fallback]);
}

function primary(parse: Parse): Expression {
  const token = peek(parse);
  switch (token.kind) {
    case 'integer':
      if (token.value === integerLimit)
        throw syntaxError(parse.text, token.offset, 'an integer needs more than 64 bits');
      return take(parse, integerValue(token.value));
    case 'real':
      return take(parse, realValue(token.value));
    case 'string':
      return take(parse, stringValue(token.value));
    case 'name':
      return named(parse, token.value);
    case 'symbol':
      return bracketed(parse, token.value);
    case 'end':
      throw unexpected(parse, 'an expression');
  }
}

function named(parse: Parse, word: string): Expression {
  const keyword = keywordValue(word);
  if (keyword !== undefined) return take(parse, keyword);
  parse.position += 1;
  if (takeSymbol(parse, '(')) {
    const parameters = commaSeparated(parse, ')');
    return node(parse, { kind: 'call', name: word, parameters }, parameters);
  }
  const scope = scopeName(word);
  const scoped = scope !== undefined && takeSymbol(parse, '.');
  return node(
    parse,
    { kind: 'attribute', scope: scoped ? scope : undefined, name: scoped ? expectName(parse) : word },
    [],
  );
}

function bracketed(parse: Parse, symbol: string): Expression {
  if (symbol === '[') {
    const ad = adBody(parse);
    return node(
      parse,
      { kind: 'ad', ad },
      [...ad.attributes.values()].map((attribute) => attribute.expression),
    );
  }
  if (takeSymbol(parse, '{')) {
    const items = commaSeparated(parse, '}');
    return node(parse, { kind: 'list', items }, items);
  }
  if (!takeSymbol(parse, '(')) throw unexpected(parse, 'an expression');
  const inner = conditional(parse);
  expectSymbol(parse, ')');
  return inner;
}

function commaSeparated(parse: Parse, close: string): readonly Expression[] {
  const items: Expression[] = [];
  if (takeSymbol(parse, close)) return items;
  do items.push(conditional(parse));
  while (takeSymbol(parse, ','));
  expectSymbol(parse, close);
  return items;
}

function adBody(parse: Parse): Ad {
  expectSymbol(parse, '[');
  const attributes = new Map<string, Attribute>();
  while (!takeSymbol(parse, ']')) {
    if (takeSymbol(parse, ';')) continue;
    addAttribute(parse, attributes);
    if (!isSymbol(peek(parse), ']')) expectSymbol(parse, ';');
  }
  return { attributes };
}

function addAttribute(parse: Parse, attributes: Map<string, Attribute>): void {
  const { offset } = peek(parse);
  const name = expectName(parse);
  if (attributes.has(name.toLowerCase()))
    throw syntaxError(parse.text, offset, `the attribute ${shortened(name)} is given twice`);
  if (attributes.size >= maxItems) throw syntaxError(parse.text, offset, `more than ${maxItems} attributes`);
  expectSymbol(parse, '=');
  attributes.set(name.toLowerCase(), { name, expression: conditional(parse) });
}

function take(parse: Parse, value: Scalar): Expression {
  parse.position += 1;
  return literal(parse, value);
}

function literal(parse: Parse, value: Scalar): Expression {
  return node(parse, { kind: 'literal', value }, []);
}

/** Registers a node with its height, so that everybody who walks the tree may recurse. */
function node(parse: Parse, expression: Expression, children: readonly Expression[]): Expression {
  const heightOf = (child: Expression): number =>
    (parse.heights.get(child) ?? 0) - (leansLeft(expression, child) ? 1 : 0);
  const height = 1 + children.reduce((highest, child) => Math.max(highest, heightOf(child)), 0);
  if (height > maxDepth) throw tooDeep(parse);
  if (parse.heights.size >= maxNodes)
    throw syntaxError(parse.text, peek(parse).offset, `more than ${maxNodes} parts`);
  parse.heights.set(expression, height);
  return expression;
}

function leansLeft(parent: Expression, child: Expression): boolean {
  return parent.kind === 'binary' && parent.left === child && child.kind === 'binary';
}

function nested<Result>(parse: Parse, rule: () => Result): Result {
  parse.depth += 1;
  if (parse.depth > maxDepth) throw tooDeep(parse);
  const result = rule();
  parse.depth -= 1;
  return result;
}

function tooDeep(parse: Parse): Error {
  return syntaxError(parse.text, peek(parse).offset, `nested deeper than ${maxDepth} levels`);
}

function isUnaryOperator(symbol: string): symbol is UnaryOperator {
  return symbol === '+' || symbol === '-' || symbol === '!' || symbol === '~';
}

function peek(parse: Parse): Token {
  return parse.tokens[parse.position] ?? { kind: 'end', offset: parse.text.length };
}

function isSymbol(token: Token, symbol: string): boolean {
  return token.kind === 'symbol' && token.value === symbol;
}

function takeSymbol(parse: Parse, symbol: string): boolean {
  const found = isSymbol(peek(parse), symbol);
  if (found) parse.position += 1;
  return found;
}

function expectSymbol(parse: Parse, symbol: string): void {
  if (!takeSymbol(parse, symbol)) throw unexpected(parse, `'${symbol}'`);
}

function expectName(parse: Parse): string {
  const token = peek(parse);
  if (token.kind !== 'name' || keywordValue(token.value) !== undefined)
    throw unexpected(parse, 'the name of an attribute');
  parse.position += 1;
  return token.value;
}

function unexpected(parse: Parse, wanted: string): Error {
  const token = peek(parse);
  return syntaxError(parse.text, token.offset, `expected ${wanted}, found ${described(token)}`);
}

function described(token: Token): string {
  switch (token.kind) {
    case 'end':
      return 'the end';
    case 'string':
      return 'a string';
    case 'integer':
    case 'real':
      return `the number ${token.value}`;
    case 'name':
    case 'symbol':
      return `'${shortened(token.value)}'`;
  }
}

function shortened(word: string): string {
  return word.length > 40 ? `${word.slice(0, 40)}...` : word;
}
