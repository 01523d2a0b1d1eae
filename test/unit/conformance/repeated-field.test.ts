import { describe, expect, it } from 'vitest';
import { repeatedField } from '../../../conformance/agent/repeated-field.ts';

describe('a field that is named twice', () => {
  it.each([
    ['{"a":1,"a":2}', 'a'],
    ['{"x":{"b":1,"b":1}}', 'b'],
    ['[{"a":1},{"c":[],"c":{}}]', 'c'],
    ['{"a":1,"\\u0061":2}', 'a'],
  ])('in %s is found', (text, name) => {
    expect(repeatedField(text)).toBe(name);
  });

  it.each([
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a":"b","b":"a"}',
    '{"a":"\\"a\\":1,","b":["a","a"]}',
    '"a"',
  ])('is not in %s', (text) => {
    expect(repeatedField(text)).toBeUndefined();
  });
});
