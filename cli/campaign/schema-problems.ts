import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { nearestName } from './nearest-name.ts';
import { type FieldPath, shown } from './problem.ts';

/** Data that knows where each part of it was written, and makes a problem of a place and what is wrong there. */
export interface PlacedData<P> {
  readonly data: unknown;
  at(path: FieldPath, message: string): P;
  atKey(path: FieldPath, message: string): P;
}

/** Compiles a schema to a function that tells what of a file's data is not as it says; empty where all is. */
export function createSchemaCheck(schema: object): <P>(source: PlacedData<P>) => readonly P[] {
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
  return (source) => {
    if (validate(source.data)) return [];
    return (validate.errors ?? []).flatMap((error) => problemOf(schema, source, error) ?? []);
  };
}

function problemOf<P>(schema: object, source: PlacedData<P>, error: ErrorObject): P | undefined {
  const path = pathOf(error.instancePath);
  // A wrong key is told once, by the rule it breaks; "propertyNames" only says that some rule was broken.
  if (error.keyword === 'propertyNames') return undefined;
  if (error.propertyName !== undefined) {
    const right = rightOf(schema, error);
    return source.atKey(
      [...path, error.propertyName],
      `the name ${shown(error.propertyName)} is not ${right}`,
    );
  }
  if (error.keyword === 'additionalProperties') return unknownKey(source, path, error);
  if (error.keyword === 'required') return missingKey(schema, source, path, error);
  return source.at(path, `${shown(error.data)} is ${fault(error)}; write ${rightOf(schema, error)}`);
}

function unknownKey<P>(source: PlacedData<P>, path: FieldPath, error: ErrorObject): P {
  const key = parameter(error, 'additionalProperty');
  const known = Object.keys(propertiesOf(error.parentSchema));
  const nearest = nearestName(key, known);
  const right = nearest === undefined ? `known are ${known.join(', ')}` : `did you mean ${nearest}?`;
  return source.atKey([...path, key], `no key ${shown(key)} is known here; ${right}`);
}

function missingKey<P>(schema: object, source: PlacedData<P>, path: FieldPath, error: ErrorObject): P {
  const key = parameter(error, 'missingProperty');
  const example = exampleOf(schema, propertiesOf(error.parentSchema)[key]);
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

function rightOf(schema: object, error: ErrorObject): string {
  const title = titleOf(error.parentSchema) ?? 'another value';
  return `${title}, for example ${exampleOf(schema, error.parentSchema)}`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
}

function titleOf(part: unknown): string | undefined {
  return isRecord(part) && typeof part['title'] === 'string' ? part['title'] : undefined;
}

function exampleOf(schema: object, part: unknown): string {
  const target = isRecord(part) && typeof part['$ref'] === 'string' ? definition(schema, part['$ref']) : part;
  if (!isRecord(target) || !Array.isArray(target['examples'])) return '…';
  return String(target['examples'][0]);
}

function definition(schema: object, reference: string): unknown {
  const name = reference.split('/').at(-1) ?? '';
  const definitions = '$defs' in schema && isRecord(schema.$defs) ? schema.$defs : {};
  return definitions[name];
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
