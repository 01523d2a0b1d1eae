export { evaluate, type EvaluationContext } from './evaluate.ts';
export type { Ad, Attribute, Expression } from './expression.ts';
export { adFromJson } from './json-ad.ts';
export { defaultSteps, maxDepth, maxItems, maxNodes, maxSourceLength, maxStringLength } from './limits.ts';
export { matches } from './match.ts';
export { parseAd, parseExpression } from './parser.ts';
export { significantAttributes } from './significant-attributes.ts';
export { unparse, unparseAd } from './unparse.ts';
export type { Value } from './value.ts';
