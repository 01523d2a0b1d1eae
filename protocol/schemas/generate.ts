/**
 * Writes protocol/generated from protocol/schemas, TypeScript types and standalone validators, and docs/reference.md.
 * `--check` writes nothing and exits 1 where the committed files differ.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';
import { compile } from 'json-schema-to-typescript';
import { renderReference } from './reference.ts';
import notes from './reference.json' with { type: 'json' };
import { isSchema } from './schema.ts';
import type { Schema } from './schema.ts';

const here = import.meta.dirname;
const checkout = join(here, '..', '..');
const banner = '// Generated from protocol/schemas by `npm run generate`; do not edit.\n';

function readSchemas(): Map<string, Schema> {
  const names = readdirSync(here).filter((name) => name.endsWith('.schema.json'));
  const parsed = names.sort().map((name): [string, Schema] => {
    const schema: unknown = JSON.parse(readFileSync(join(here, name), 'utf8'));
    if (!isSchema(schema)) throw new Error(`${name} is no schema`);
    return [name.replace('.schema.json', ''), schema];
  });
  return new Map(parsed);
}

function pascal(name: string): string {
  return name.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** One self-contained schema with every definition and message under `$defs`, so that shared types are emitted once. */
function bundle(schemas: Map<string, Schema>): Schema {
  const definitions: Schema = {};
  for (const [name, schema] of schemas) {
    if (name === 'common' && isSchema(schema['$defs'])) Object.assign(definitions, renamed(schema['$defs']));
    else if (name !== 'common') definitions[pascal(name)] = schema;
  }
  const root = { title: 'Bundle', type: 'object', additionalProperties: false, $defs: local(definitions) };
  nameInner(root.$defs, '');
  return root;
}

function renamed(definitions: Schema): Schema {
  return Object.fromEntries(Object.entries(definitions).map(([name, schema]) => [typeName(name), schema]));
}

/** `common` definitions whose names would collide with a message's. */
function typeName(definition: string): string {
  const name = pascal(definition.charAt(0).toUpperCase() + definition.slice(1));
  return name === 'Capabilities' ? 'CapabilityList' : name;
}

function local(value: unknown): Schema {
  const text = JSON.stringify(value, (key, inner: unknown) =>
    key === '$id' || key === '$schema' ? undefined : inner,
  );
  const pointed = text.replace(
    /"common\.schema\.json#\/\$defs\/([A-Za-z0-9]+)"/g,
    (_, name: string) => `"#/$defs/${typeName(name)}"`,
  );
  const parsed: unknown = JSON.parse(pointed);
  if (!isSchema(parsed)) throw new Error('no definitions');
  return parsed;
}

/** Anonymous objects get a title from where they stand, so that arrays of them have a named element type. */
function nameInner(schema: unknown, path: string): void {
  if (Array.isArray(schema)) schema.forEach((inner: unknown, index) => nameInner(inner, `${path}${index}`));
  if (!isSchema(schema)) return;
  for (const [key, inner] of Object.entries(schema)) {
    const structural = ['properties', 'items', 'oneOf', 'additionalProperties', '$defs'].includes(key);
    const next = structural ? path : path + pascal(key.charAt(0).toUpperCase() + key.slice(1));
    nameInner(inner, next);
  }
  if (schema['type'] === 'object' && typeof schema['title'] !== 'string' && path !== '')
    schema['title'] = path;
}

async function types(schemas: Map<string, Schema>): Promise<string> {
  const source = await compile(bundle(schemas), 'Bundle', {
    bannerComment: banner,
    ignoreMinAndMaxItems: true,
    unreachableDefinitions: true,
    format: true,
    style: { singleQuote: true, printWidth: 110 },
    strictIndexSignatures: true,
  });
  return source
    .replace(/export interface Bundle \{\s*\}\n/, '')
    .replace(/^( +)((?:'[^']+'|\w+|\[k: string\])\??: )/gm, '$1readonly $2')
    .replace(/(^|[ (])([A-Z]\w*|string|number)\[\]/gm, '$1readonly $2[]')
    .replace(/: \(([^()]*)\)\[\]/g, ': readonly ($1)[]')
    .replace(/export type (\w+) = \(([^()]*)\)\[\];/g, 'export type $1 = readonly ($2)[];');
}

function validators(schemas: Map<string, Schema>): { code: string; declarations: string } {
  const ajv = new Ajv2020({
    schemas: [...schemas.values()],
    code: { source: true, esm: true, lines: true },
    strict: true,
    allErrors: false,
    validateFormats: false,
  });
  const names = [...schemas.keys()].filter((name) => name !== 'common');
  const exported = Object.fromEntries(names.map((name) => [`is${pascal(name)}`, `${name}.schema.json`]));
  // A CommonJS module whose types describe its default export only.
  const standaloneCode = standalone as unknown as (ajv: Ajv2020, refs: Record<string, string>) => string;
  const requireLine =
    "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);\n";
  const body = standaloneCode(ajv, exported).replace('"use strict";', '');
  const imports = names.map((name) => pascal(name)).join(', ');
  const lines = names.map((name) => `export const is${pascal(name)}: Validator<types.${pascal(name)}>;`);
  const declarations = [
    banner + "import type * as types from './types.ts';",
    'export interface Validator<T> {',
    '  (value: unknown): value is T;',
    '  readonly errors?: readonly { readonly instancePath: string; readonly message?: string; readonly keyword: string; readonly params: Readonly<Record<string, unknown>> }[] | null;',
    '}',
    ...lines,
    '',
  ].join('\n');
  if (imports === '') throw new Error('no schemas');
  return { code: `${banner}${requireLine}${body}`, declarations };
}

async function main(): Promise<void> {
  const schemas = readSchemas();
  const { code, declarations } = validators(schemas);
  const protocol = readFileSync(join(checkout, 'docs', 'protocol.md'), 'utf8');
  const files: [string, string][] = [
    ['protocol/generated/types.ts', await types(schemas)],
    ['protocol/generated/validators.js', code],
    ['protocol/generated/validators.d.ts', declarations],
    ['docs/reference.md', renderReference({ schemas, notes, protocol })],
  ];
  const check = process.argv.includes('--check');
  const stale = files.filter(([name, text]) => {
    const file = join(checkout, name);
    if (!check) writeFileSync(file, text);
    return check && (!existsSync(file) || readFileSync(file, 'utf8') !== text);
  });
  for (const [name] of stale)
    console.error(`${name} is not what the schemas generate: run \`npm run generate\``);
  process.exitCode = stale.length === 0 ? 0 : 1;
}

await main();
