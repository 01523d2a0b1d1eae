/** Renders docs/reference.md: every message and shared type with its fields, from the schemas and `reference.json`. */
import { isSchema } from './schema.ts';
import type { Schema } from './schema.ts';

/** What the schemas do not say: who says a message, what answers it, and what fields without a description mean. */
export interface ReferenceNotes {
  readonly messages: Readonly<Record<string, MessageNote>>;
  readonly meanings: Readonly<Record<string, string>>;
  readonly types: Readonly<Record<string, string>>;
}

export interface MessageNote {
  readonly says: string;
  readonly answer: string;
  /** Where the message's name alone does not lead to what is about it. */
  readonly requirements?: readonly string[];
}

export interface ReferenceSources {
  readonly schemas: ReadonlyMap<string, Schema>;
  readonly notes: ReferenceNotes;
  /** The text of docs/protocol.md: requirements are taken from it. */
  readonly protocol: string;
}

interface Field {
  readonly name: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
}

/** Where a schema holds another for what is in the value, and what bounds of that are introduced by. */
const INNER = { items: 'each', propertyNames: 'names', additionalProperties: 'values' };

const INTRODUCTION = `# Every message

Generated from [protocol/schemas](../protocol/schemas) by \`npm run generate\`; a check fails where it is not what they say. What the messages are for,
and in which order they come, is in [protocol.md](protocol.md).

"See" lists the requirements that are about the message. A field that is not said to be optional MUST be there. No field may be there that is
not listed.
`;

/** The page. Throws where a field, message or type has no meaning, or a note is about nothing. */
export function renderReference({ schemas, notes, protocol }: ReferenceSources): string {
  const common = definitionsOf(schemas);
  const used = new Set<string>();
  const messages = Object.keys(notes.messages).map((kind) => {
    const schema = schemas.get(kind);
    if (schema === undefined) throw new Error(`reference.json: there is no message ${kind}`);
    return section(kind, schema, heading(kind, schema, { schemas, notes, protocol }));
  });
  const missing = [...schemas.keys()].filter((name) => name !== 'common' && !(name in notes.messages));
  if (missing.length > 0) throw new Error(`reference.json does not say who says ${missing.join(', ')}`);
  const types = [...common].map(([name, schema]) => section(name, schema, [typeMeaning(name, schema)]));
  const unused = [...Object.keys(notes.meanings), ...Object.keys(notes.types)].filter(
    (key) => !used.has(key),
  );
  if (unused.length > 0) throw new Error(`reference.json: nothing is called ${unused.join(', ')}`);
  return [INTRODUCTION, '## Messages\n', ...messages, '## Shared types\n', ...types].join('\n');

  function section(name: string, schema: Schema, lines: readonly string[]): string {
    const rows = variants(schema).flatMap((variant) => fieldRows(name, variant));
    const table = ['| Field | Is | Bounds | Meaning |', '|---|---|---|---|', ...rows, ''];
    return [`### ${name}\n`, ...lines, '', ...(rows.length > 0 ? table : bare(schema))].join('\n');
  }

  function fieldRows(path: string, schema: Schema): readonly string[] {
    return fieldsOf(schema).flatMap((field) => {
      const at = `${path}.${field.name}`;
      const inner = innerObject(field.schema);
      const name = `\`${at.slice(at.indexOf('.') + 1)}\`${field.isRequired ? '' : ', optional'}`;
      const row = `| ${[name, kindOf(field.schema), bounds(field.schema), meaning(at, field.schema)].map(cell).join(' | ')} |`;
      return [row, ...(inner === undefined ? [] : fieldRows(`${at}[]`, inner))];
    });
  }

  function meaning(at: string, schema: Schema): string {
    const noted = notes.meanings[at];
    if (noted !== undefined) used.add(at);
    const referred = referenceOf(schema);
    const own = noted ?? schema['description'];
    if (typeof own === 'string') return own;
    if ('const' in schema) return `always \`${String(schema['const'])}\``;
    if (referred === undefined) throw new Error(`reference.json: what does ${at} mean?`);
    return typeMeaning(referred, common.get(referred) ?? {});
  }

  function typeMeaning(name: string, schema: Schema): string {
    const noted = notes.types[name];
    if (noted !== undefined) used.add(name);
    const own = noted ?? schema['description'];
    if (typeof own !== 'string') throw new Error(`reference.json: what is ${name}?`);
    return own;
  }
}

/** Requirements of docs/protocol.md, by number, with the text of each. */
function requirementsIn(protocol: string): ReadonlyMap<string, string> {
  const parts = protocol.split(/(?=^(?:- |\| )\*\*[A-Z]-\d+\*\*)|\n\n(?=\S)/m);
  const found = parts.map((part): readonly [string, string] => [
    /^(?:- |\| )\*\*([A-Z]-\d+)\*\*/.exec(part)?.[1] ?? '',
    part,
  ]);
  return new Map(found.filter(([id]) => id !== ''));
}

function heading(kind: string, schema: Schema, sources: ReferenceSources): readonly string[] {
  const { says = '', answer = '' } = sources.notes.messages[kind] ?? {};
  const about = typeof schema['description'] === 'string' ? schema['description'] : '';
  return [
    about,
    '',
    `- Said by: ${says}`,
    `- Answer: ${answer}`,
    `- See: ${requirementsOf(kind, schema, sources).join(', ')}`,
    `- [Schema](../protocol/schemas/${kind}.schema.json), [examples](../protocol/examples/${kind})`,
  ];
}

/** Throws where there is none, or one that is noted is not there. */
function requirementsOf(
  kind: string,
  schema: Schema,
  { notes, protocol, schemas }: ReferenceSources,
): readonly string[] {
  const all = requirementsIn(protocol);
  const noted = notes.messages[kind]?.requirements;
  const operations = itemsOf(schema, schemas).map((name) => `| \`${name}\` |`);
  const named = new RegExp(`\`${kind}(?:\\.\\w+)?\`|schemas/${kind}\\.schema\\.json`);
  const isAbout = (text: string): boolean =>
    text.startsWith('|') ? operations.some((name) => text.includes(name)) : named.test(text);
  const ids = noted ?? [...all].filter(([, text]) => isAbout(text)).map(([id]) => id);
  const strange = ids.filter((id) => !all.has(id));
  if (strange.length > 0) throw new Error(`reference.json: there is no requirement ${strange.join(', ')}`);
  if (ids.length === 0) throw new Error(`no requirement is about ${kind}`);
  return ids;
}

/** The words after `op` of what a batch may hold; none for other messages. */
function itemsOf(schema: Schema, schemas: ReadonlyMap<string, Schema>): readonly string[] {
  const common = definitionsOf(schemas);
  const items = fieldsOf(schema).find(({ name }) => name === 'items')?.schema['items'];
  return (isSchema(items) ? alternatives(items) : []).flatMap((alternative) => {
    const operation = common.get(referenceOf(alternative) ?? '');
    const op = fieldsOf(operation ?? {}).find(({ name }) => name === 'op')?.schema['const'];
    return typeof op === 'string' ? [op] : [];
  });
}

function definitionsOf(schemas: ReadonlyMap<string, Schema>): ReadonlyMap<string, Schema> {
  const definitions = schemas.get('common')?.['$defs'];
  if (!isSchema(definitions)) throw new Error('common.schema.json has no definitions');
  return new Map(
    Object.entries(definitions).flatMap(([name, schema]) => (isSchema(schema) ? [[name, schema]] : [])),
  );
}

function fieldsOf(schema: Schema): readonly Field[] {
  const properties = schema['properties'];
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  if (!isSchema(properties)) return [];
  return Object.entries(properties).flatMap(([name, inner]) =>
    isSchema(inner) ? [{ name, schema: inner, isRequired: required.includes(name) }] : [],
  );
}

/** The schema, or each of the objects it is one of. */
function variants(schema: Schema): readonly Schema[] {
  const each = alternatives(schema);
  return each.length === 0 ? [schema] : each;
}

function alternatives(schema: Schema): readonly Schema[] {
  const each: unknown = schema['oneOf'];
  return Array.isArray(each) ? each.filter(isSchema) : [];
}

/** What the elements of an array are, where they are objects written in place. */
function innerObject(schema: Schema): Schema | undefined {
  const items = schema['items'];
  return isSchema(items) && 'properties' in items ? items : undefined;
}

function referenceOf(schema: Schema): string | undefined {
  const reference = schema['$ref'];
  return typeof reference === 'string' ? reference.split('/').at(-1) : undefined;
}

function kindOf(schema: Schema): string {
  const referred = referenceOf(schema);
  if (referred !== undefined) return `[${referred}](#${referred.toLowerCase()})`;
  if ('const' in schema) return `\`${String(schema['const'])}\``;
  if (Array.isArray(schema['enum'])) return schema['enum'].map((word) => `\`${String(word)}\``).join(', ');
  const each = alternatives(schema);
  if (each.length > 0) return each.map(kindOf).join(' or ');
  const items = schema['items'];
  if (schema['type'] === 'array' && isSchema(items)) return `list of ${kindOf(items)}`;
  const values = schema['additionalProperties'];
  if (schema['type'] === 'object' && isSchema(values)) return `object with values ${kindOf(values)}`;
  return String(schema['type']);
}

/** Bounds of a value and of what is in it, as words. */
function bounds(schema: Schema): string {
  const size: readonly (readonly [string, string, string])[] = [
    ['minimum', 'maximum', ''],
    ['minLength', 'maxLength', ' characters'],
    ['minItems', 'maxItems', ' elements'],
    ['minProperties', 'maxProperties', ' fields'],
  ];
  const ranges = size.flatMap(([least, most, unit]) => range(schema[least], schema[most], unit));
  const pattern = schema['pattern'];
  const within = Object.entries(INNER).flatMap(([key, word]) => {
    const inner = schema[key];
    const text = isSchema(inner) ? bounds(inner) : '';
    return text === '' ? [] : [`${word}: ${text}`];
  });
  return [...ranges, ...(typeof pattern === 'string' ? [`\`${pattern}\``] : []), ...within].join('; ');
}

function range(least: unknown, most: unknown, unit: string): readonly string[] {
  if (least === undefined && most === undefined) return [];
  const to = typeof most === 'number' ? most.toLocaleString('en') : 'any';
  return [
    typeof least === 'number' ? `${least.toLocaleString('en')} to ${to}${unit}` : `at most ${to}${unit}`,
  ];
}

/** What stands there where there are no fields: kind and bounds of the value itself. */
function bare(schema: Schema): readonly string[] {
  const text = bounds(schema);
  return [`${cell(kindOf(schema))}${text === '' ? '' : `: ${text}`}`, ''];
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
