import { expect, it } from 'vitest';
import * as classad from '../../../protocol/classad/index.ts';

it('exports exactly what others may use', () => {
  expect(Object.keys(classad).sort()).toEqual([
    'adFromJson',
    'defaultSteps',
    'evaluate',
    'matches',
    'maxDepth',
    'maxItems',
    'maxNodes',
    'maxSourceLength',
    'maxStringLength',
    'parseAd',
    'parseExpression',
    'significantAttributes',
    'truthOf',
    'unparse',
    'unparseAd',
  ]);
});
