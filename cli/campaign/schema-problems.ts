import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { nearestName } from './nearest-name.ts';
import { type FieldPath, type Problem, shown } from './problem.ts';
import type { Source } from './source.ts';
import schema from './campaign.schema.json' with { type: 'json' };

// All errors at once is safe here: the file is small, it is the user's own, and no keyword of the schema compares items.
const ajv = new Ajv2020({
  strict: true,
  strictTypes: false,
  allowUnionTypes: true,
  allErrors: true,
  verbose: true,
  messages: false,
});
const validate = ajv.compile(schema);

/** What of a file's data is not as the schema says; empty where all is. */
export function schemaProblems(source: Source): readonly Problem[] {
  if (validate(source.data)) return [];
  return (validate.errors ?? []).flatMap((error) => problemOf(source, error) ?? []);
}

function problemOf(source: Source, error: ErrorObject): Problem | undefined {
  const path = pathOf(error.instancePath);
  // A wrong key is told once, by the rule it breaks; "propertyNames" only says that some rule was broken.
  if (error.keyword === 'propertyNames') return undefined;
  if (error.propertyName !== undefined) {
    const right = rightOf(error);
    return source.atKey(
      [...path, error.propertyName],
      `the name ${shown(error.propertyName)} is not ${right}`,
    );
  }
  if (error.keyword === 'additionalProperties') return unknownKey(source, path, error);
  if (error.keyword === 'required') return missingKey(source, path, error);
  return source.at(path, `${shown(error.data)} is ${fault(error)}; write ${rightOf(error)}`);
}

function unknownKey(source: Source, path: FieldPath, error: ErrorObject): Problem {
  const key = parameter(error, 'additionalProperty');
  const known = Object.keys(propertiesOf(error.parentSchema));
  const nearest = nearestName(key, known);
  const right = nearest === undefined ? `known are ${known.join(', ')}` : `did you mean ${nearest}?`;
  return source.atKey([...path, key], `no key ${shown(key)} is known here; ${right}`);
}

function missingKey(source: Source, path: FieldPath, error: ErrorObject): Problem {
  const key = parameter(error, 'missingProperty');
  const example = exampleOf(propertiesOf(error.parentSchema)[key]);
  return source.at([...path, key], `is missing; add for example ${key}: ${example}`);
}

/** What is wrong, in words that follow "is". */
function fault(error: ErrorObject): string {
  switch (error.keyword) {
    case 'type':
      return kindOf(error.data);
    case 'minLength':
      return 'empty';
    case 'maxLength':
      return 'too long';
    case 'minimum':
      return 'too small';
    case 'maximum':
      return 'too large';
    case 'minItems':
      return 'an empty list';
    case 'maxItems':
    case 'maxProperties':
      return 'too many';
    default:
      return 'not in the right form';
  }
}

function rightOf(error: ErrorObject): string {
  const title = titleOf(error.parentSchema) ?? 'another value';
  return `${title}, for example ${exampleOf(error.parentSchema)}`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
}

function titleOf(part: unknown): string | undefined {
  return isRecord(part) && typeof part['title'] === 'string' ? part['title'] : undefined;
}

function exampleOf(part: unknown): string {
  const target = isRecord(part) && typeof part['$ref'] === 'string' ? definition(part['$ref']) : part;
  if (!isRecord(target) || !Array.isArray(target['examples'])) return '…';
  return String(target['examples'][0]);
}

function definition(reference: string): unknown {
  const name = reference.split('/').at(-1) ?? '';
  return Object.entries(schema.$defs).find(([known]) => known === name)?.[1];
}

function propertiesOf(part: unknown): Record<string, unknown> {
  const properties = isRecord(part) ? part['properties'] : undefined;
  return isRecord(properties) ? properties : {};
}

function parameter(error: ErrorObject, name: string): string {
  const parameters: unknown = error.params;
  const value = isRecord(parameters) ? parameters[name] : undefined;
  return typeof value === 'string' ? value : '';
}

/** A JSON pointer as a path; list positions become numbers so that they read as such. */
function pathOf(pointer: string): FieldPath {
  const parts = pointer.split('/').slice(1);
  return parts.map((part) => {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    return /^\d+$/.test(key) ? Number(key) : key;
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
