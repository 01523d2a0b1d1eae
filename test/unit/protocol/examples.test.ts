import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../../protocol/encoding.ts';
import { decodeAgentMessage, decodeBrokerMessage, decodeTrustedMessage } from '../../../protocol/messages.ts';
import { type Example, examples, refusals, schemaNames, validatorOf } from './examples.ts';

const valid = examples('valid');
const invalid = examples('invalid');
/** Claims of tokens and payloads of handshakes: they come where one kind alone may come. */
const NO_MESSAGES = new Set([
  'agent-hello',
  'broker-hello',
  'certificate',
  'grant',
  'identity',
  'service-hello',
  'service-welcome',
]);
const decoders = { agent: decodeAgentMessage, broker: decodeBrokerMessage, trusted: decodeTrustedMessage };

const code = (expected: string) => expect.objectContaining({ code: expected });
const wire = (value: unknown) => bytesOf(JSON.stringify(value));

/** Every way from the root to a member of an object or array. */
function paths(value: unknown, way: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...way, key], ...paths(inner, [...way, key])]);
}

/** A copy with what is at the path replaced, or left out. */
function changed(value: unknown, path: readonly string[], change: { readonly to?: unknown }): unknown {
  const copy: unknown = structuredClone(value);
  const last = path.at(-1) ?? '';
  const holder = at(copy, path.slice(0, -1)) as Record<string, unknown>;
  if ('to' in change) holder[last] = change.to;
  else Reflect.deleteProperty(holder, last);
  return copy;
}

/** Members of maps whose names are the sender's own, members of lists, and what a schema lets out. */
const FREE = /\.(ad|next|environment)\.\w+$|\.\d+$/;
const OPTIONAL =
  /\.(next|usage|logTail|executable|optional|maxBytes|cpuSeconds|processes|pilot|parts|state|sha256|adler32|md5|exit|events)$|^\.slots$/;

const messages = valid.filter(({ kind }) => !NO_MESSAGES.has(kind));

describe('protocol/examples', () => {
  it('has valid and invalid ones for every schema', () => {
    const kinds = schemaNames().filter((name) => name !== 'common');
    expect([...new Set(valid.map(({ kind }) => kind))]).toEqual(kinds);
    expect([...new Set(invalid.map(({ kind }) => kind))]).toEqual(kinds);
  });

  it('says of every invalid one where it is wrong', () => {
    expect(Object.keys(refusals()).toSorted()).toEqual(invalid.map(({ name }) => name));
  });
});

// proves: M-1, X-1
describe('a valid example', () => {
  it.each(valid)('$name passes its schema', ({ kind, value }) => {
    expect(validatorOf(kind)(value)).toBe(true);
  });

  it.each(messages)('$name is decoded in its direction and in no other', ({ value }) => {
    const results = Object.values(decoders).map((decode) => {
      try {
        return decode(wire(value));
      } catch (error) {
        return error;
      }
    });
    expect(results.filter((result) => !(result instanceof Error))).toEqual([value]);
    expect(results.filter((result) => result instanceof Error)).toEqual([
      code('UNKNOWN_KIND'),
      code('UNKNOWN_KIND'),
    ]);
  });

  it.each(valid)('$name has no field that may be null', ({ kind, value }) => {
    const is = validatorOf(kind);
    expect(paths(value).filter((path) => is(changed(value, path, { to: null })))).toEqual([]);
  });

  it.each(valid)('$name takes no field more, at any depth', ({ kind, value }) => {
    const is = validatorOf(kind);
    const objects = [[], ...paths(value)].filter((path) => isObject(at(value, path)));
    const open = objects.filter((path) => is(changed(value, [...path, '-extra-'], { to: 1 })));
    expect(open).toEqual([]);
  });

  it.each(valid)('$name takes none less that is required', ({ kind, value }) => {
    const is = validatorOf(kind);
    const dispensable = paths(value)
      .filter((path) => is(changed(value, path, {})))
      .map((path) => `.${path.join('.')}`);
    expect(dispensable.filter((path) => !FREE.test(path) && !OPTIONAL.test(path))).toEqual([]);
  });
});

describe('an invalid example', () => {
  it.each(invalid)('$name is refused for what its name says', ({ kind, name, value }) => {
    const is = validatorOf(kind);
    expect(is(value)).toBe(false);
    expect(is.errors?.map(({ instancePath }) => instancePath)).toContain(refusals()[name]);
  });

  it.each(invalid.filter(({ kind }) => !NO_MESSAGES.has(kind)))('$name is MALFORMED_MESSAGE', (example) => {
    expect(() => decodeIn(example)).toThrow(code('MALFORMED_MESSAGE'));
  });
});

function decodeIn({ kind, value }: Example): unknown {
  const sample = messages.find((example) => example.kind === kind)?.value;
  const decode = Object.values(decoders).find((decoder) => {
    try {
      return decoder(wire(sample));
    } catch {
      return undefined;
    }
  });
  return decode?.(wire(value));
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce((inner, key) => (inner as Record<string, unknown>)[key], value);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
