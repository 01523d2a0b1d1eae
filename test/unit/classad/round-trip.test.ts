import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate } from '../../../protocol/classad/evaluate.ts';
import type { Attribute, Expression } from '../../../protocol/classad/expression.ts';
import { isAttributeName } from '../../../protocol/classad/names.ts';
import { parseAd, parseExpression } from '../../../protocol/classad/parser.ts';
import { unparse, unparseAd } from '../../../protocol/classad/unparse.ts';
import { CoPilotError } from '../../../protocol/errors.ts';

const name = fc.oneof(
  fc.constantFrom('a', 'b', 'Memory', 'other', 'my', 'e5', 'TARGET'),
  fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,6}$/).filter(isAttributeName),
);

const functionName = fc.constantFrom(
  'isUndefined',
  'isError',
  'member',
  'identicalMember',
  'strcat',
  'toUpper',
  'substr',
  'size',
  'int',
  'real',
  'string',
  'bool',
  'round',
  'min',
  'sum',
  'avg',
  'ifThenElse',
  'stringListMember',
  'regexp',
  'versioncmp',
  'version_in_range',
  'nothing',
);

const literal: fc.Arbitrary<Expression> = fc
  .oneof(
    fc.constantFrom({ kind: 'undefined' } as const, { kind: 'error' } as const),
    fc.boolean().map((value) => ({ kind: 'boolean', value }) as const),
    fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .map((value) => ({ kind: 'integer', value }) as const),
    fc.integer({ min: -3, max: 3 }).map((value) => ({ kind: 'integer', value: BigInt(value) }) as const),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => ({ kind: 'real', value }) as const),
    fc.string({ unit: 'binary', maxLength: 8 }).map((value) => ({ kind: 'string', value }) as const),
  )
  .map((value) => ({ kind: 'literal', value }));

const attribute: fc.Arbitrary<Expression> = fc.record({
  kind: fc.constant('attribute' as const),
  scope: fc.constantFrom(
    undefined,
    undefined,
    'my' as const,
    'self' as const,
    'target' as const,
    'other' as const,
  ),
  name,
});

const binaryOperator = fc.constantFrom(
  '*',
  '/',
  '%',
  '+',
  '-',
  '<<',
  '>>',
  '>>>',
  '<',
  '<=',
  '>',
  '>=',
  '==',
  '!=',
  '=?=',
  '=!=',
  '&',
  '^',
  '|',
  '&&',
  '||',
);

/** A minus before a number is part of the number, so the parser never makes such a node. */
function isParsed(expression: Expression): boolean {
  if (expression.kind !== 'unary' || expression.operator !== '-' || expression.operand.kind !== 'literal')
    return true;
  return expression.operand.value.kind !== 'integer' && expression.operand.value.kind !== 'real';
}

const { expression } = fc.letrec<{ expression: Expression }>((tie) => {
  const part = tie('expression');
  const attributes = fc
    .uniqueArray(fc.record({ name, expression: part }), {
      maxLength: 3,
      selector: (one) => one.name.toLowerCase(),
    })
    .map((list) => new Map(list.map((one): [string, Attribute] => [one.name.toLowerCase(), one])));
  return {
    expression: fc.oneof(
      { maxDepth: 5, depthSize: 'small', withCrossShrink: true },
      literal,
      attribute,
      fc.record({ kind: fc.constant('select' as const), base: part, name }),
      fc.record({ kind: fc.constant('index' as const), base: part, index: part }),
      fc.record({
        kind: fc.constant('call' as const),
        name: functionName,
        parameters: fc.array(part, { maxLength: 3 }),
      }),
      fc
        .record({
          kind: fc.constant('unary' as const),
          operator: fc.constantFrom('+', '-', '!', '~'),
          operand: part,
        })
        .filter(isParsed),
      fc.record({ kind: fc.constant('binary' as const), operator: binaryOperator, left: part, right: part }),
      fc.record({ kind: fc.constant('elvis' as const), value: part, fallback: part }),
      fc.record({ kind: fc.constant('conditional' as const), condition: part, yes: part, no: part }),
      fc.record({ kind: fc.constant('list' as const), items: fc.array(part, { maxLength: 3 }) }),
      attributes.map((map) => ({ kind: 'ad' as const, ad: { attributes: map } })),
    ),
  };
});

const printable = expression.filter((tree) => unparse(tree).length <= 3500);

/** Every integer in an ad is 64 bits, whatever was computed. */
function isInRange(value: ReturnType<typeof evaluate>): boolean {
  return value.kind !== 'integer' || value.value === BigInt.asIntN(64, value.value);
}

describe('printing and parsing', () => {
  it('gives the same expression again', () => {
    fc.assert(
      fc.property(printable, (tree) => {
        expect(parseExpression(unparse(tree))).toEqual(tree);
      }),
      { numRuns: 1500 },
    );
  });

  it('gives the same ad again', () => {
    const text =
      '[ Memory = 2048; Requirements = other.TTL > 100 && (a ?: b); Name = "q\\"\\\\\\n"; Nested = [ a = {1, -2.5} ] ]';
    expect(unparseAd(parseAd(text))).toBe(text);
    expect(unparseAd(parseAd('[]'))).toBe('[ ]');
  });

  it.each([
    ['a ?: b', '(a ?: b)'],
    ['a?b:c', 'a ? b : c'],
    ['(a?b:c)+1', '(a ? b : c) + 1'],
    ['(other).x', '(other).x'],
    ['OTHER.x', 'other.x'],
    ['a-(b-c)', 'a - (b - c)'],
    ['(a-b)-c', 'a - b - c'],
    ['(a+b)*c', '(a + b) * c'],
    ['(-5)[0]', '(-5)[0]'],
    ['-5 * 2', '-5 * 2'],
    ['1.0', '1.0'],
    ['1e300', '1e+300'],
    ['-0.0', '-0.0'],
    ['a is b', 'a =?= b'],
    ['"\\0\\177é"', '"\\000\\177é"'],
  ])('writes %s as %s', (text, printed) => expect(unparse(parseExpression(text))).toBe(printed));

  it('writes a real that is not finite as something that evaluates to it', () => {
    const infinite: Expression = {
      kind: 'literal',
      value: { kind: 'real', value: Number.NEGATIVE_INFINITY },
    };
    expect(evaluate(parseExpression(unparse(infinite)), { my: { attributes: new Map() } })).toEqual(
      infinite.value,
    );
  });
});

describe('evaluation never throws', () => {
  it('for any expression between any two ads', () => {
    const ads = fc
      .dictionary(fc.constantFrom('a', 'b', 'memory', 'e5'), expression, {
        maxKeys: 4,
        noNullPrototype: true,
      })
      .map((record) => ({
        attributes: new Map(
          Object.entries(record).map(([key, tree]): [string, Attribute] => [
            key,
            { name: key, expression: tree },
          ]),
        ),
      }));
    fc.assert(
      fc.property(
        expression,
        ads,
        fc.option(ads, { nil: undefined }),
        fc.integer({ min: 0, max: 2000 }),
        (tree, my, target, budget) => {
          const context = target === undefined ? { my, budget } : { my, target, budget };
          const value = evaluate(tree, context);
          expect(isInRange(value)).toBe(true);
          expect(evaluate(tree, context)).toEqual(value);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('for any text: it is refused with a code, or it evaluates', () => {
    const piece = fc.constantFrom(
      '(',
      ')',
      '[',
      ']',
      '{',
      '}',
      '"',
      '\\',
      '1',
      '0',
      '.',
      'e',
      'a',
      '+',
      '-',
      '!',
      '=',
      '?',
      ':',
      '<',
      '>',
      '&',
      '|',
      ' ',
      ',',
      ';',
      'my.',
      '\n',
      '1.5',
      'is',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.array(piece, { maxLength: 25 }).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(text, (source) => {
        try {
          evaluate(parseExpression(source), { my: { attributes: new Map() } });
        } catch (caught) {
          expect(caught).toBeInstanceOf(CoPilotError);
          expect(caught).toMatchObject({ code: 'CLASSAD_SYNTAX' });
        }
      }),
      { numRuns: 3000 },
    );
  });
});
