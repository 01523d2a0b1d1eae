import { type FieldPath, fieldText } from '../campaign/problem.ts';
import type { PlacedData } from '../campaign/schema-problems.ts';
import type { Source } from '../campaign/source.ts';
import { hasPassword, INLINE_PASSWORD, INLINE_SECRET, type Override } from './override.ts';
import { keysWith, type SettingKey, STANDARD_QUEUES } from './schema-keys.ts';
import { type Origin, originText, type Setting, type Settings } from './settings.ts';

/** One thing that is wrong in the configuration, and where it was written. */
export interface ConfigurationProblem {
  /** `file:line:column`, a variable, or a flag. */
  readonly place: string;
  /** Such as `queues.main.leaseMs`; empty for a place as a whole. */
  readonly field: string;
  readonly message: string;
  /** In the order of the file, then what was set outside it. */
  readonly order: number;
}

/** The file, what the environment says over it, and flags over both. */
export interface Layers extends PlacedData<ConfigurationProblem> {
  readonly settings: () => readonly Setting[];
}

type Data = Record<string, unknown>;

/** Puts what was set outside the file over the file. Later overrides win. */
export function layered(
  file: string,
  source: Source | undefined,
  overrides: readonly Override[],
): Layers & { readonly inline: readonly ConfigurationProblem[] } {
  const data = source === undefined ? {} : (structuredClone(source.data) as Data);
  const isMapping = isData(data);
  const placeOf = (path: FieldPath): Override['origin'] | undefined =>
    overrides.findLast((entry) => isSame(entry.path, path) || isBelow(path, entry.path))?.origin ??
    (valueAt(source?.data, path) === undefined
      ? overrides.findLast((entry) => isBelow(entry.path, path))?.origin
      : undefined);
  const problem = (path: FieldPath, message: string, find: 'at' | 'atKey'): ConfigurationProblem => {
    const origin = placeOf(path);
    const field = fieldText(path);
    if (origin !== undefined || source === undefined)
      return { place: origin === undefined ? file : originText(origin), field, message, order: Infinity };
    const { line, column } = source[find](path, message);
    return { place: `${file}:${line}:${column}`, field, message, order: line * 1e6 + column };
  };
  const inline = isMapping ? takeInlineSecrets(data) : [];
  const inlinePasswords = isMapping ? takeInlinePassword(data) : [];
  if (isMapping) for (const { path, value } of overrides) put(data, path, value);

  return {
    data,
    at: (path, message) => problem(path, message, 'at'),
    atKey: (path, message) => problem(path, message, 'atKey'),
    inline: [
      ...inline.map((path) => problem(path, INLINE_SECRET, 'at')),
      ...inlinePasswords.map((path) => problem(path, INLINE_PASSWORD, 'at')),
    ],
    settings() {
      const queues = Object.keys({ ...STANDARD_QUEUES, ...(isData(data['queues']) ? data['queues'] : {}) });
      const keys = keysWith(queues);
      const buses = data['bus'];
      return (Array.isArray(buses) ? withBusList(keys, buses) : keys).map(({ path, fallback, isSecret }) => {
        const value = valueAt(data, path);
        return value === undefined
          ? { path, value: fallback, origin: { kind: 'default' }, isSecret }
          : { path, value, origin: originOf(path), isSecret };
      });
    },
  };

  /** One setting, which is the whole list, with what its entries leave out. */
  function withBusList(keys: readonly SettingKey[], buses: readonly unknown[]): readonly SettingKey[] {
    const [first, ...more] = keys.filter(isOfBus);
    const defaults = Object.fromEntries(
      keys
        .filter((key) => isOfBus(key) && key.fallback !== undefined)
        .map(({ path, fallback }) => [path.at(-1) ?? '', fallback]),
    );
    data['bus'] = buses.map((bus) => (isData(bus) ? { ...defaults, ...bus } : bus));
    return keys
      .filter((key) => !more.includes(key))
      .map((key) => (key === first ? { ...key, path: key.path.slice(0, 1) } : key));
  }

  function originOf(path: readonly string[]): Origin {
    return placeOf(path) ?? { kind: 'file', file, line: source?.at(path, '').line ?? 1 };
  }
}

/** Removes secrets that stand in the file themselves, so that no later message shows one; answers where they stood. */
function takeInlineSecrets(data: Data): readonly FieldPath[] {
  const secrets = data['secrets'];
  if (secrets === undefined || secrets === null) return [];
  if (!isData(secrets)) {
    delete data['secrets'];
    return [['secrets']];
  }
  const names = Object.keys(secrets).filter((name) => !isData(secrets[name]));
  data['secrets'] = Object.fromEntries(Object.entries(secrets).filter(([name]) => !names.includes(name)));
  return names.map((name) => ['secrets', name]);
}

/** As `takeInlineSecrets`, for the password in the address of a database. */
function takeInlinePassword(data: Data): readonly FieldPath[] {
  const ledger = data['ledger'];
  if (!isData(ledger) || !hasPassword(ledger['url'])) return [];
  delete ledger['url'];
  return [['ledger', 'url']];
}

/** The settings as one object; what has no value is left out. */
export function settingsOf(entries: readonly Setting[]): Settings {
  const settings: Data = {};
  for (const { path, value } of entries) {
    if (value === undefined) put(settings, path.slice(0, -1), valueAt(settings, path.slice(0, -1)) ?? {});
    else put(settings, path, value);
  }
  // The schema has been checked, and a test holds it to the type.
  return settings as unknown as Settings;
}

function put(data: Data, path: readonly string[], value: unknown): void {
  const [last = '', ...above] = path.toReversed();
  let inner = data;
  for (const name of above.toReversed()) {
    const next = inner[name];
    const mapping = isData(next) ? next : {};
    inner[name] = mapping;
    inner = mapping;
  }
  inner[last] = value;
}

function valueAt(data: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>((value, part) => {
    if (Array.isArray(value)) return typeof part === 'number' ? (value[part] as unknown) : undefined;
    return isData(value) && Object.hasOwn(value, part) ? value[part] : undefined;
  }, data);
}

function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOfBus({ path }: SettingKey): boolean {
  return path[0] === 'bus';
}

function isSame(one: FieldPath, other: FieldPath): boolean {
  return one.length === other.length && isBelow(one, other);
}

/** Whether `path` is `upper` or lies below it. */
function isBelow(path: FieldPath, upper: FieldPath): boolean {
  return upper.every((part, at) => part === path[at]);
}
