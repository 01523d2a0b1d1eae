import schema from './configuration.schema.json' with { type: 'json' };

/** What the schema says of one key that has a value of its own. */
export interface SettingKey {
  /** From the top; `*` stands for the name of a queue. */
  readonly path: readonly string[];
  readonly type: 'integer' | 'boolean' | 'list' | 'weights' | 'mapping' | 'text';
  readonly description: string;
  /** What is a right value, in words. */
  readonly form: string;
  /** Undefined where there is none. */
  readonly fallback: unknown;
  readonly isSecret: boolean;
}

/** Stands for any queue's name. */
export const ANY = '*';

/** The section that has a mapping for each name a person chooses. */
export const QUEUES = 'queues';

/** The section that is one setting as a whole. */
const FRAMEWORKS = 'frameworks';

type Part = Readonly<Record<string, unknown>>;

/** Queues that are there whether a file names them or not, with what differs from the other queues. */
export const STANDARD_QUEUES: Readonly<Record<string, Readonly<Record<string, unknown>>>> =
  schema.properties.queues.default;

/** Every key, in the order of the schema. */
export const SETTING_KEYS: readonly SettingKey[] = keysBelow([], schema);

/** The keys of certain queues and all others. */
export function keysWith(queues: readonly string[]): readonly SettingKey[] {
  const first = SETTING_KEYS.findIndex(isOfQueues);
  const ofQueues = queues.flatMap((queue) =>
    SETTING_KEYS.filter(isOfQueues).map((key) => {
      const path = key.path.map((part) => (part === ANY ? queue : part));
      const own = STANDARD_QUEUES[queue]?.[path.slice(2).join('.')];
      return { ...key, path, fallback: own ?? key.fallback };
    }),
  );
  return SETTING_KEYS.flatMap((key, at) => (isOfQueues(key) ? (at === first ? ofQueues : []) : [key]));
}

function isOfQueues({ path }: SettingKey): boolean {
  return path[1] === ANY;
}

function keysBelow(path: readonly string[], written: Part): readonly SettingKey[] {
  const part = { ...definition(written['$ref']), ...written };
  if (path[0] === 'secrets' && path.length === 2) return [keyOf(path, part, true)];
  if (isPart(part['properties']))
    return Object.entries(part['properties']).flatMap(([name, inner]) =>
      isPart(inner) ? keysBelow([...path, name], inner) : [],
    );
  const isQueues = path.length === 1 && path[0] === QUEUES;
  if (isQueues && isPart(part['additionalProperties']))
    return keysBelow([...path, ANY], part['additionalProperties']);
  return [keyOf(path, part, false)];
}

function keyOf(path: readonly string[], part: Part, isSecret: boolean): SettingKey {
  return {
    path,
    type: path[0] === FRAMEWORKS ? 'mapping' : typeOf(part['type']),
    description: String(part['description']),
    form: String(part['title']),
    fallback: part['default'],
    isSecret,
  };
}

function typeOf(written: unknown): SettingKey['type'] {
  switch (written) {
    case 'integer':
    case 'boolean':
      return written;
    case 'array':
      return 'list';
    case 'object':
      return 'weights';
    default:
      return 'text';
  }
}

function definition(reference: unknown): Part {
  const name = typeof reference === 'string' ? reference.split('/').at(-1) : undefined;
  const found = Object.entries(schema.$defs).find(([known]) => known === name)?.[1];
  return found ?? {};
}

function isPart(value: unknown): value is Part {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
