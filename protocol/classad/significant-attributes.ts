import type { Expression } from './expression.ts';

/**
 * The names an expression can look up, lower-case, each once, sorted: with the same values under these names in both ads the
 * result is the same. Names that the attributes themselves refer to are not followed.
 */
export function significantAttributes(expression: Expression): readonly string[] {
  const names = new Set<string>();
  const pending: Expression[] = [expression];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.kind === 'attribute') names.add(next.name.toLowerCase());
    pending.push(...partsOf(next));
  }
  return [...names].sort();
}

function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'attribute':
      return [];
    case 'select':
      return [expression.base];
    case 'index':
      return [expression.base, expression.index];
    case 'call':
      return expression.parameters;
    case 'unary':
      return [expression.operand];
    case 'binary':
      return [expression.left, expression.right];
    case 'elvis':
      return [expression.value, expression.fallback];
    case 'conditional':
      return [expression.condition, expression.yes, expression.no];
    case 'list':
      return expression.items;
    case 'ad':
      return [...expression.ad.attributes.values()].map((attribute) => attribute.expression);
  }
}
