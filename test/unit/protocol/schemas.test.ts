import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import secure from 'ajv/lib/refs/json-schema-secure.json' with { type: 'json' };
import { describe, expect, it } from 'vitest';
import { schema, schemaNames } from './examples.ts';

const names = schemaNames();
const ajv = new Ajv2020({ schemas: names.map((name) => schema(name)), strict: true });
const isSecure = new Ajv({ strict: false }).compile(secure);
const common = schema('common')['$defs'] as Record<string, unknown>;

type Json = Readonly<Record<string, unknown>>;

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every schema within a schema, itself included, with where it stands. */
function schemasIn(value: unknown, where: string): readonly (readonly [string, Json])[] {
  if (Array.isArray(value)) return value.flatMap((inner, index) => schemasIn(inner, `${where}/${index}`));
  if (!isJson(value)) return [];
  const inner = Object.entries(value).flatMap(([key, member]) => schemasIn(member, `${where}/${key}`));
  const isSchema = 'type' in value || 'enum' in value || 'const' in value || '$ref' in value;
  return isSchema && typeof value['type'] !== 'object' ? [[where, value], ...inner] : inner;
}

/** Why something of this schema could be as large as a sender likes. */
function unbounded(part: Json): string | undefined {
  switch (part['type']) {
    case 'string':
      return 'maxLength' in part || 'enum' in part ? undefined : 'a text without maxLength';
    case 'array':
      return 'maxItems' in part ? undefined : 'a list without maxItems';
    case 'integer':
    case 'number':
      return 'minimum' in part && 'maximum' in part ? undefined : 'a number without bounds';
    case 'object':
      return part['additionalProperties'] === false || 'maxProperties' in part
        ? undefined
        : 'an object that takes any field';
    default:
      return undefined;
  }
}

// proves: X-1
describe('the schemas', () => {
  it.each(names)('%s is safe to check hostile values with', (name) => {
    expect([isSecure(schema(name)), isSecure.errors]).toEqual([true, null]);
  });

  it.each(Object.entries(common))('common: %s is safe by itself', (_name, definition) => {
    expect([isSecure(definition), isSecure.errors]).toEqual([true, null]);
  });

  it.each(names)('%s bounds every text, list, number and object', (name) => {
    const found = schemasIn(schema(name), name).flatMap(([where, part]) => {
      const why = unbounded(part);
      return why === undefined ? [] : [`${where}: ${why}`];
    });
    expect(found).toEqual([]);
  });

  it.each(names)('%s is a schema of draft 2020-12, without what ajv would pass over', (name) => {
    expect(ajv.getSchema(`${name}.schema.json`)).toBeTypeOf('function');
  });

  it('would be found wanting without bounds', () => {
    expect(isSecure({ type: 'string', pattern: '^(a+)+$' })).toBe(false);
    expect(unbounded({ type: 'string' })).toBe('a text without maxLength');
    expect(unbounded({ type: 'object', properties: {} })).toBe('an object that takes any field');
  });
});
