import { nearestName } from '../campaign/nearest-name.ts';
import { ANY, QUEUES, SETTING_KEYS, type SettingKey } from './schema-keys.ts';
import type { Origin } from './settings.ts';

/** One value that somebody set outside the file. */
export interface Override {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly origin: Extract<Origin, { kind: 'environment' | 'flag' }>;
}

/** A value that cannot be taken at all, and why. */
export interface WrongOverride {
  readonly origin: Override['origin'];
  readonly message: string;
}

export type ReadOverride =
  | { readonly kind: 'override'; readonly override: Override }
  | { readonly kind: 'wrong'; readonly wrong: WrongOverride };

const PREFIX = 'COPILOT_';
const BETWEEN = '__';
const QUEUE_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;

/** Ends of the path of a secret's reference. */
const REFERENCE_ENDS = ['file', 'env'] as const;

export const INLINE_SECRET =
  'a secret is never written here, where backups, logs and other users see it; write { file: PATH } or { env: NAME }';

export const INLINE_PASSWORD =
  'a password is never written here, where backups, logs and other users see it; let secrets.ledgerPassword lead to it';

/** Whether an address brings a password along. */
export function hasPassword(url: unknown): boolean {
  return typeof url === 'string' && (/:\/\/[^/?#]*:[^/?#]*@/.test(url) || /[?&]password=/i.test(url));
}

/** The environment variable of a key: `broker.sweepMs` is `COPILOT_BROKER__SWEEP_MS`. */
export function variableOf(path: readonly string[]): string {
  return PREFIX + path.map((part) => part.replace(/[A-Z]/g, '_$&').toUpperCase()).join(BETWEEN);
}

/**
 * What the environment sets. A variable with two underscores side by side is a setting and must be a known one; others that
 * begin with `COPILOT_` have other uses. An empty one counts as not there.
 */
export function environmentOverrides(environment: NodeJS.ProcessEnv): readonly ReadOverride[] {
  return Object.entries(environment).flatMap(([name, text]): readonly ReadOverride[] => {
    if (!name.startsWith(PREFIX) || text === undefined || text === '') return [];
    const path = pathOfVariable(name);
    const origin = { kind: 'environment', name } as const;
    if (path !== undefined) return [overrideOf(path, text, origin)];
    if (!name.includes(BETWEEN)) return [];
    const nearest = nearestName(name, known().map(variableOf));
    return [wrong(origin, `stands for no key${hint(nearest)}`)];
  });
}

/** What `--set KEY=VALUE` sets. */
export function flagOverrides(flags: readonly string[]): readonly ReadOverride[] {
  return flags.map((text) => {
    const [, key = text, value] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    const path = pathOfKey(key);
    const origin = { kind: 'flag', flag: `--set ${key}` } as const;
    if (path === undefined) {
      const nearest = nearestName(
        key,
        known().map((entry) => entry.join('.')),
      );
      return wrong(origin, `stands for no key${hint(nearest)}`);
    }
    return value === undefined
      ? wrong(origin, 'has no value; write KEY=VALUE')
      : overrideOf(path, value, origin);
  });
}

function overrideOf(path: readonly string[], text: string, origin: Override['origin']): ReadOverride {
  const key = keyAt(path);
  if (key?.isSecret === true && path.length === key.path.length) return wrong(origin, INLINE_SECRET);
  if (isLedgerUrl(path) && hasPassword(text)) return wrong(origin, INLINE_PASSWORD);
  return { kind: 'override', override: { path, value: valueOf(key, text), origin } };
}

function isLedgerUrl(path: readonly string[]): boolean {
  return path.join('.') === 'ledger.url';
}

function valueOf(key: SettingKey | undefined, text: string): unknown {
  if (key?.type === 'integer' && /^-?[0-9]{1,16}$/.test(text)) return Number(text);
  switch (key?.type) {
    case 'boolean':
      return text === 'true' || (text === 'false' ? false : text);
    case 'list':
      return text.split(',').map((part) => part.trim());
    case 'weights':
      return weightsOf(text) ?? text;
    case 'mapping':
      return mappingOf(text) ?? text;
    default:
      return text;
  }
}

/** `higgs=3, top=2`; undefined where it is written otherwise. */
function weightsOf(text: string): Readonly<Record<string, number>> | undefined {
  const entries = text.split(',').map((part) => /^([^=]+)=([0-9]{1,16})$/.exec(part.trim()));
  const named = entries.flatMap((entry) =>
    entry === null ? [] : [[entry[1] ?? '', Number(entry[2])] as const],
  );
  return named.length === entries.length ? Object.fromEntries(named) : undefined;
}

/** JSON; undefined where it is none. */
function mappingOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // the schema says what is right
  }
}

function keyAt(path: readonly string[]): SettingKey | undefined {
  return SETTING_KEYS.find(
    (key) =>
      key.path.every((part, at) => part === ANY || part === path[at]) && key.path.length <= path.length,
  );
}

/** Every path that can be set, with `main` for the name of a queue. */
function known(): readonly (readonly string[])[] {
  return SETTING_KEYS.flatMap((key) => {
    const path = key.path.map((part) => (part === ANY ? 'main' : part));
    return key.isSecret ? [...REFERENCE_ENDS.map((end) => [...path, end]), path] : [path];
  });
}

function pathOfVariable(name: string): readonly string[] | undefined {
  const plain = known().find((path) => variableOf(path) === name);
  if (plain !== undefined) return plain;
  const [section, queue = '', ...rest] = name.slice(PREFIX.length).split(BETWEEN);
  if (section !== QUEUES.toUpperCase()) return undefined;
  const end = queueEnds().find((path) => variableOf(path) === PREFIX + rest.join(BETWEEN));
  return end && QUEUE_NAME.test(queue.toLowerCase()) ? [QUEUES, queue.toLowerCase(), ...end] : undefined;
}

function pathOfKey(key: string): readonly string[] | undefined {
  const plain = known().find((path) => path.join('.') === key);
  if (plain !== undefined) return plain;
  const start = `${QUEUES}.`;
  const end = queueEnds().find((path) => key.endsWith(`.${path.join('.')}`));
  if (end === undefined || !key.startsWith(start)) return undefined;
  // A queue's name may have dots of its own.
  const queue = key.slice(start.length, -`.${end.join('.')}`.length);
  return QUEUE_NAME.test(queue) ? [QUEUES, queue, ...end] : undefined;
}

/** The keys of a queue, from its name on. */
function queueEnds(): readonly (readonly string[])[] {
  return SETTING_KEYS.filter(({ path }) => path[0] === QUEUES).map(({ path }) => path.slice(2));
}

function wrong(origin: Override['origin'], message: string): ReadOverride {
  return { kind: 'wrong', wrong: { origin, message } };
}

function hint(nearest: string | undefined): string {
  return nearest === undefined ? '' : `; did you mean ${nearest}?`;
}
