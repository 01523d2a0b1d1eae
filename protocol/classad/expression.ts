import type { Scalar } from './scalar.ts';

export type UnaryOperator = '+' | '-' | '!' | '~';

export type LogicalOperator = '&&' | '||';

export type StrictOperator =
  | '*'
  | '/'
  | '%'
  | '+'
  | '-'
  | '<<'
  | '>>'
  | '>>>'
  | '<'
  | '<='
  | '>'
  | '>='
  | '=='
  | '!='
  | '=?='
  | '=!='
  | '&'
  | '^'
  | '|';

export type BinaryOperator = StrictOperator | LogicalOperator;

/** `my` and `self` are the ad that holds the expression, `target` and `other` the ad it is matched with. */
export type ScopeName = 'my' | 'self' | 'target' | 'other';

export interface BinaryExpression {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
}

/**
 * A parsed ClassAd expression. Nesting is at most `maxDepth`, where a chain of binary operators that leans to the left
 * counts once: whoever walks the tree follows `left` in a loop.
 */
export type Expression =
  | { readonly kind: 'literal'; readonly value: Scalar }
  | { readonly kind: 'attribute'; readonly scope: ScopeName | undefined; readonly name: string }
  | { readonly kind: 'select'; readonly base: Expression; readonly name: string }
  | { readonly kind: 'index'; readonly base: Expression; readonly index: Expression }
  | { readonly kind: 'call'; readonly name: string; readonly parameters: readonly Expression[] }
  | { readonly kind: 'unary'; readonly operator: UnaryOperator; readonly operand: Expression }
  | BinaryExpression
  | { readonly kind: 'elvis'; readonly value: Expression; readonly fallback: Expression }
  | {
      readonly kind: 'conditional';
      readonly condition: Expression;
      readonly yes: Expression;
      readonly no: Expression;
    }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'ad'; readonly ad: Ad };

/** One attribute, its name spelled as it was written. */
export interface Attribute {
  readonly name: string;
  readonly expression: Expression;
}

/** Uniquely named expressions; the keys are the names in lower case, because case does not count in names. */
export interface Ad {
  readonly attributes: ReadonlyMap<string, Attribute>;
}
