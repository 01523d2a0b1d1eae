import { type Budget, exhaust, spend, spendCharacters } from './budget.ts';
import type {
  Ad,
  Attribute,
  BinaryExpression,
  Expression,
  LogicalOperator,
  ScopeName,
} from './expression.ts';
import { callFunction } from './functions.ts';
import { lowerCase } from './letter-case.ts';
import { defaultSteps, maxDepth, maxItems, maxSourceLength } from './limits.ts';
import { toText } from './functions-conversion.ts';
import { parseExpression } from './parser.ts';
import { applyStrict, applyUnary, truthOf } from './operators.ts';
import { booleanValue, errorValue, type Scalar, stringValue, undefinedValue } from './scalar.ts';
import { unparse } from './unparse.ts';
import type { Scope, Value, World } from './value.ts';

/** The ads an expression is evaluated between, the steps it may take (`defaultSteps` unless given), and what else it may see. */
export interface EvaluationContext {
  readonly my: Ad;
  readonly target?: Ad;
  readonly budget?: number;
  readonly world?: World;
}

interface Evaluation {
  readonly budget: Budget;
  readonly world: World | undefined;
  /** Attributes being evaluated: meeting one again is a circular reference. */
  readonly active: Set<Attribute>;
  depth: number;
}

/**
 * Evaluates an expression as if it stood in `my`. A name without a scope is looked up in the own ad, then in the other;
 * an attribute of the other ad is evaluated with the sides swapped. Never throws: what goes over the steps, `maxDepth`,
 * `maxItems` or `maxStringLength` makes the whole result the error value, a circular reference only that reference.
 */
export function evaluate(expression: Expression, context: EvaluationContext): Value {
  const budget: Budget = { stepsLeft: context.budget ?? defaultSteps, exhausted: false };
  const scope: Scope = { ad: context.my, parent: undefined, target: context.target };
  const value = evaluateNode(
    { budget, world: context.world, active: new Set(), depth: 0 },
    expression,
    scope,
  );
  return budget.exhausted ? errorValue : value;
}

function evaluateNode(evaluation: Evaluation, expression: Expression, scope: Scope): Value {
  if (!spend(evaluation.budget, 1)) return errorValue;
  if (evaluation.depth >= maxDepth) {
    exhaust(evaluation.budget);
    return errorValue;
  }
  evaluation.depth += 1;
  const value = evaluateKind(evaluation, expression, scope);
  evaluation.depth -= 1;
  return value;
}

function evaluateKind(evaluation: Evaluation, expression: Expression, scope: Scope): Value {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'attribute':
      return evaluateReference(evaluation, expression.scope, lowerCase(expression.name), scope);
    case 'select':
      return select(evaluation, evaluateNode(evaluation, expression.base, scope), expression.name);
    case 'index':
      return index(
        evaluation,
        evaluateNode(evaluation, expression.base, scope),
        evaluateNode(evaluation, expression.index, scope),
      );
    case 'call':
      return evaluateCall(evaluation, expression.name, expression.parameters, scope);
    case 'unary':
      return applyUnary(expression.operator, evaluateNode(evaluation, expression.operand, scope));
    case 'binary':
      return evaluateBinary(evaluation, expression, scope);
    case 'elvis': {
      const value = evaluateNode(evaluation, expression.value, scope);
      return value.kind === 'undefined' ? evaluateNode(evaluation, expression.fallback, scope) : value;
    }
    case 'conditional':
      return choose(evaluation, expression.condition, expression.yes, expression.no, scope);
    case 'list':
      return evaluateList(evaluation, expression.items, scope);
    case 'ad':
      return { kind: 'ad', scope: { ad: expression.ad, parent: scope, target: undefined } };
  }
}

function evaluateReference(
  evaluation: Evaluation,
  name: ScopeName | undefined,
  attribute: string,
  scope: Scope,
): Value {
  const place = placeOf(name, attribute, scope);
  return place === undefined ? undefinedValue : evaluateAttribute(evaluation, attribute, place);
}

/** Where a name is looked up: without a scope, in the own ad and those it stands in, then in the other. */
function placeOf(name: ScopeName | undefined, attribute: string, scope: Scope): Scope | undefined {
  if (name === 'my' || name === 'self') return outermost(scope);
  if (name !== undefined) return otherSide(scope);
  for (let place: Scope | undefined = scope; place !== undefined; place = place.parent) {
    if (place.ad.attributes.has(attribute)) return place;
  }
  return otherSide(scope);
}

function evaluateAttribute(evaluation: Evaluation, name: string, place: Scope): Value {
  const attribute = place.ad.attributes.get(name);
  if (attribute === undefined) return undefinedValue;
  if (evaluation.active.has(attribute)) return errorValue;
  evaluation.active.add(attribute);
  const value = evaluateNode(evaluation, attribute.expression, place);
  evaluation.active.delete(attribute);
  return value;
}

function outermost(scope: Scope): Scope {
  let place = scope;
  while (place.parent !== undefined) place = place.parent;
  return place;
}

function otherSide(scope: Scope): Scope | undefined {
  const { ad, target } = outermost(scope);
  return target === undefined ? undefined : { ad: target, parent: undefined, target: ad };
}

function select(evaluation: Evaluation, base: Value, name: string): Value {
  if (base.kind === 'ad') return evaluateAttribute(evaluation, lowerCase(name), base.scope);
  return base.kind === 'undefined' ? undefinedValue : errorValue;
}

function index(evaluation: Evaluation, base: Value, at: Value): Value {
  if (base.kind === 'error' || at.kind === 'error') return errorValue;
  if (base.kind === 'undefined' || at.kind === 'undefined') return undefinedValue;
  if (base.kind === 'ad' && at.kind === 'string') return select(evaluation, base, at.value);
  if (base.kind !== 'list' || at.kind !== 'integer') return errorValue;
  return base.items[Number(at.value)] ?? errorValue;
}

function evaluateList(evaluation: Evaluation, items: readonly Expression[], scope: Scope): Value {
  if (items.length > maxItems) {
    exhaust(evaluation.budget);
    return errorValue;
  }
  return { kind: 'list', items: items.map((item) => evaluateNode(evaluation, item, scope)) };
}

function evaluateCall(
  evaluation: Evaluation,
  name: string,
  parameters: readonly Expression[],
  scope: Scope,
): Value {
  switch (lowerCase(name)) {
    case 'ifthenelse':
      return ifThenElse(evaluation, parameters, scope);
    case 'unparse':
      return unparseAttribute(evaluation, parameters, scope);
    case 'eval':
      return evaluateText(evaluation, parameters, scope);
    default:
      return callFunction(
        name,
        () => parameters.map((parameter) => evaluateNode(evaluation, parameter, scope)),
        parameters.length,
        evaluation,
      );
  }
}

function ifThenElse(evaluation: Evaluation, parameters: readonly Expression[], scope: Scope): Value {
  const [condition, yes, no] = parameters;
  if (condition === undefined || yes === undefined || no === undefined || parameters.length !== 3)
    return errorValue;
  return choose(evaluation, condition, yes, no, scope);
}

/** What an attribute is bound to, as text and not evaluated; empty where there is no such attribute. */
function unparseAttribute(evaluation: Evaluation, parameters: readonly Expression[], scope: Scope): Value {
  const [reference] = parameters;
  if (reference?.kind !== 'attribute' || parameters.length !== 1) return errorValue;
  const place = placeOf(reference.scope, lowerCase(reference.name), scope);
  const expression = place?.ad.attributes.get(lowerCase(reference.name))?.expression;
  if (expression === undefined) return stringValue('');
  const text = unparse(expression);
  return spendCharacters(evaluation.budget, 8 * text.length) ? stringValue(text) : errorValue;
}

/** Evaluates the text of a value where the call stands. Each character costs a step: to parse is dearer than to evaluate. */
function evaluateText(evaluation: Evaluation, parameters: readonly Expression[], scope: Scope): Value {
  const [parameter] = parameters;
  if (parameter === undefined || parameters.length !== 1) return errorValue;
  const text = toText(evaluateNode(evaluation, parameter, scope));
  if (text === undefined || text.length > maxSourceLength || !spend(evaluation.budget, text.length))
    return errorValue;
  const expression = parsed(text);
  return expression === undefined ? errorValue : evaluateNode(evaluation, expression, scope);
}

function parsed(text: string): Expression | undefined {
  try {
    return parseExpression(text);
  } catch {
    // The language has a value for a text that is no expression.
    return undefined;
  }
}

function choose(
  evaluation: Evaluation,
  condition: Expression,
  yes: Expression,
  no: Expression,
  scope: Scope,
): Value {
  switch (truthOf(evaluateNode(evaluation, condition, scope))) {
    case 'true':
      return evaluateNode(evaluation, yes, scope);
    case 'false':
      return evaluateNode(evaluation, no, scope);
    case 'undefined':
      return undefinedValue;
    case 'error':
      return errorValue;
  }
}

/** Walks a chain that leans to the left in a loop: such chains are long in practice and do not count as nesting. */
function evaluateBinary(evaluation: Evaluation, expression: BinaryExpression, scope: Scope): Value {
  const links: BinaryExpression[] = [];
  let first: Expression = expression;
  while (first.kind === 'binary') {
    links.push(first);
    first = first.left;
  }
  let value = evaluateNode(evaluation, first, scope);
  for (const { operator, right } of links.reverse()) {
    if (!spend(evaluation.budget, 1)) return errorValue;
    const evaluateRight = (): Value => evaluateNode(evaluation, right, scope);
    value =
      operator === '&&' || operator === '||'
        ? applyLogical(operator, value, evaluateRight)
        : applyStrict(operator, value, evaluateRight(), evaluation.budget);
  }
  return value;
}

/** The left side decides alone where it can; an error on the left always decides. */
function applyLogical(operator: LogicalOperator, left: Value, evaluateRight: () => Value): Scalar {
  const deciding = operator === '&&' ? 'false' : 'true';
  const first = truthOf(left);
  if (first === 'error') return errorValue;
  if (first === deciding) return booleanValue(deciding === 'true');
  const second = truthOf(evaluateRight());
  if (second === 'error') return errorValue;
  if (second === deciding) return booleanValue(deciding === 'true');
  return first === 'undefined' || second === 'undefined'
    ? undefinedValue
    : booleanValue(deciding === 'false');
}
