import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Validator } from '../../../protocol/generated/validators.js';
import * as validators from '../../../protocol/generated/validators.js';

const folder = join(import.meta.dirname, '..', '..', '..', 'protocol');

/** One file of protocol/examples. */
export interface Example {
  readonly kind: string;
  /** `kind/file.json`. */
  readonly name: string;
  readonly value: unknown;
}

export function schemaNames(): readonly string[] {
  const files = globSync('*.schema.json', { cwd: join(folder, 'schemas') });
  return files.map((file) => basename(file, '.schema.json')).toSorted();
}

export function examples(which: 'valid' | 'invalid'): readonly Example[] {
  const files = globSync(`*/${which}-*.json`, { cwd: join(folder, 'examples') });
  return files.toSorted().map((name) => ({ kind: dirname(name), name, value: read(join('examples', name)) }));
}

/** Where each invalid example is wrong, as a JSON pointer. */
export function refusals(): Readonly<Record<string, string>> {
  return read('examples/refusals.json') as Record<string, string>;
}

export function schema(name: string): Readonly<Record<string, unknown>> {
  return read(`schemas/${name}.schema.json`) as Record<string, unknown>;
}

/** The generated validator of a schema. */
export function validatorOf(kind: string): Validator<unknown> {
  const name = `is${kind.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())}`;
  const found = new Map<string, Validator<unknown>>(Object.entries(validators)).get(name);
  if (found === undefined) throw new Error(`there is no validator ${name}`);
  return found;
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(join(folder, path), 'utf8'));
}
