import { evaluate } from '../../../protocol/classad/evaluate.ts';
import type { Ad } from '../../../protocol/classad/expression.ts';
import { parseAd, parseExpression } from '../../../protocol/classad/parser.ts';
import { unparse } from '../../../protocol/classad/unparse.ts';
import type { Value } from '../../../protocol/classad/value.ts';

/** Evaluates a text between two ads given as text, and writes the value the way the language does; ads are written as `[]`. */
export function evaluated(text: string, my = '[]', target?: string): string {
  return written(
    evaluate(parseExpression(text), {
      my: parseAd(my),
      ...(target === undefined ? {} : { target: parseAd(target) }),
    }),
  );
}

export function written(value: Value): string {
  if (value.kind === 'list') return `{${value.items.map(written).join(', ')}}`;
  return value.kind === 'ad' ? '[]' : unparse({ kind: 'literal', value });
}

export const emptyAd: Ad = { attributes: new Map() };
