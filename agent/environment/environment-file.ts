import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';

/** What an operator says every job of an agent gets, and what must be in order before one runs. */
export interface EnvironmentSettings {
  readonly variables: Readonly<Record<string, string>>;
  /** A directory that jobs read, named to them by SITECONFIG_PATH. */
  readonly siteconf?: string;
  readonly validation?: ValidationSettings;
  readonly webProxies?: WebProxySettings;
  readonly cvmfs?: CvmfsSettings;
}

export interface ValidationSettings {
  /** A path or an http(s) URL. */
  readonly bundle: string;
  /** Lower-case hexadecimal: a bundle with another digest is never run. */
  readonly sha256: string;
  readonly wallSeconds: number;
}

export interface WebProxySettings {
  readonly source:
    | { readonly kind: 'list'; readonly proxies: readonly string[] }
    /** Found by the file at `url`, for what lies at `target`. */
    | { readonly kind: 'wpad'; readonly url: string; readonly target: string };
  /** Most jobs of this agent that have one proxy at once. */
  readonly jobsPerProxy: number;
  /** Whether a job may go without where no proxy is to be had. */
  readonly direct: boolean;
}

export interface CvmfsSettings {
  readonly repositories: readonly string[];
  /** The program for repositories that are not mounted. */
  readonly parrot?: string;
  /** What parrot must know of the repositories (its option -r). */
  readonly parrotRepositories?: string;
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** The agent's own to say. */
const RESERVED = /^(?:COPILOT_.*|HOME|PATH|LD_.*)$/;
const REPOSITORY = /^[a-z0-9](?:[a-z0-9.-]{0,126}[a-z0-9])?$/;
const SHA256 = /^[0-9a-f]{64}$/;
const MAX_FILE_BYTES = 64 * 1024;
const MAX_LIST = 32;
const MAX_TEXT = 4_096;
const DEFAULT_WALL_SECONDS = 300;
const DEFAULT_JOBS_PER_PROXY = 16;
const WPAD_TARGET = 'http://cvmfs-stratum-one.cern.ch/';

type Section = ReadonlyMap<string, unknown>;

/** Throws `INVALID_CONFIGURATION` that names the place. Paths are taken from where the file lies. */
export async function readEnvironment(path: string): Promise<EnvironmentSettings> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw wrong('it', `cannot be read: ${toCoPilotError(cause).message}`);
  }
  return environmentIn(text, dirname(resolve(path)));
}

/** As `readEnvironment`, of a text. */
export function environmentIn(text: string, folder: string): EnvironmentSettings {
  if (text.length > MAX_FILE_BYTES) throw wrong('it', `has more than ${MAX_FILE_BYTES} characters`);
  const top = section(parsed(text), 'it', ['variables', 'siteconf', 'validation', 'webProxies', 'cvmfs']);
  const siteconf = optional(top, 'siteconf', textAt);
  const validation = optional(top, 'validation', validationAt);
  const webProxies = optional(top, 'webProxies', webProxiesAt);
  const cvmfs = optional(top, 'cvmfs', cvmfsAt);
  return {
    variables: optional(top, 'variables', variablesAt) ?? {},
    ...(siteconf !== undefined && { siteconf: resolve(folder, siteconf) }),
    ...(validation !== undefined && {
      validation: { ...validation, bundle: placed(validation.bundle, folder) },
    }),
    ...(webProxies !== undefined && { webProxies }),
    ...(cvmfs !== undefined && { cvmfs }),
  };
}

function placed(bundle: string, folder: string): string {
  return /^https?:/.test(bundle) ? bundle : resolve(folder, bundle);
}

function parsed(text: string): unknown {
  try {
    const value: unknown = parse(text, { maxAliasCount: 0 });
    return value ?? {};
  } catch (cause) {
    throw wrong('it', `is no YAML: ${toCoPilotError(cause).message.slice(0, 200)}`);
  }
}

function variablesAt(value: unknown, at: string): Readonly<Record<string, string>> {
  const pairs = [...section(value, at)].map(([name, said]): [string, string] => {
    if (!VARIABLE.test(name) || RESERVED.test(name)) throw wrong(`${at}.${name}`, 'is no name to give');
    return [name, String(isScalar(said) ? said : textAt(said, `${at}.${name}`))];
  });
  if (pairs.length > MAX_LIST) throw wrong(at, `names more than ${MAX_LIST}`);
  return Object.fromEntries(pairs);
}

function validationAt(value: unknown, at: string): ValidationSettings {
  const found = section(value, at, ['bundle', 'sha256', 'wallSeconds']);
  const sha256 = textAt(found.get('sha256'), `${at}.sha256`);
  if (!SHA256.test(sha256)) throw wrong(`${at}.sha256`, 'is no SHA-256 in lower-case hexadecimal');
  return {
    bundle: textAt(found.get('bundle'), `${at}.bundle`),
    sha256,
    wallSeconds: optional(found, 'wallSeconds', countAt, at) ?? DEFAULT_WALL_SECONDS,
  };
}

function webProxiesAt(value: unknown, at: string): WebProxySettings {
  const found = section(value, at, ['proxies', 'wpad', 'target', 'jobsPerProxy', 'direct']);
  const proxies = optional(found, 'proxies', proxiesAt, at);
  const wpad = optional(found, 'wpad', urlAt, at);
  const direct = found.get('direct') ?? false;
  if (typeof direct !== 'boolean') throw wrong(`${at}.direct`, 'is true or false');
  if ((proxies === undefined) === (wpad === undefined)) throw wrong(at, 'has either proxies or wpad');
  const target = optional(found, 'target', urlAt, at) ?? WPAD_TARGET;
  return {
    source:
      wpad === undefined ? { kind: 'list', proxies: proxies ?? [] } : { kind: 'wpad', url: wpad, target },
    jobsPerProxy: optional(found, 'jobsPerProxy', countAt, at) ?? DEFAULT_JOBS_PER_PROXY,
    direct,
  };
}

function proxiesAt(value: unknown, at: string): readonly string[] {
  return listAt(value, at, (item, place) => {
    const proxy = proxyUrl(textAt(item, place));
    if (proxy === undefined) throw wrong(place, 'is no http://host:port');
    return proxy;
  });
}

function cvmfsAt(value: unknown, at: string): CvmfsSettings {
  const found = section(value, at, ['repositories', 'parrot', 'parrotRepositories']);
  const parrot = optional(found, 'parrot', textAt, at);
  const parrotRepositories = optional(found, 'parrotRepositories', textAt, at);
  if (parrot?.startsWith('/') === false) throw wrong(`${at}.parrot`, 'is no absolute path');
  return {
    repositories: listAt(found.get('repositories'), `${at}.repositories`, (item, place) => {
      const name = textAt(item, place);
      if (!REPOSITORY.test(name)) throw wrong(place, 'is no name of a repository');
      return name;
    }),
    ...(parrot !== undefined && { parrot }),
    ...(parrotRepositories !== undefined && { parrotRepositories }),
  };
}

/** `http://host:port` as said with or without its scheme; undefined where it is none, or would carry a password. */
export function proxyUrl(text: string): string | undefined {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  const isPlain =
    url?.protocol === 'http:' &&
    url.hostname !== '' &&
    url.username === '' &&
    url.password === '' &&
    url.pathname === '/' &&
    url.search === '';
  return isPlain ? `http://${url.hostname}:${url.port === '' ? '80' : url.port}` : undefined;
}

function section(value: unknown, at: string, known?: readonly string[]): Section {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong(at, 'is not made of names and values');
  const found = new Map<string, unknown>(Object.entries(value));
  const stray = known === undefined ? undefined : [...found.keys()].find((name) => !known.includes(name));
  if (stray !== undefined) throw wrong(at === 'it' ? stray : `${at}.${stray}`, 'is not known here');
  return found;
}

function optional<T>(
  from: Section,
  name: string,
  read: (value: unknown, at: string) => T,
  at = '',
): T | undefined {
  const value = from.get(name);
  return value === undefined ? undefined : read(value, at === '' ? name : `${at}.${name}`);
}

function listAt<T>(value: unknown, at: string, read: (item: unknown, at: string) => T): readonly T[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_LIST)
    throw wrong(at, `is no list of 1 to ${MAX_LIST}`);
  return value.map((item: unknown, index) => read(item, `${at}[${index}]`));
}

function textAt(value: unknown, at: string): string {
  if (typeof value !== 'string' || value === '' || value.length > MAX_TEXT || /\p{Cc}/u.test(value))
    throw wrong(at, `is no text of 1 to ${MAX_TEXT} characters without control characters`);
  return value;
}

function urlAt(value: unknown, at: string): string {
  const text = textAt(value, at);
  const protocol = URL.parse(text)?.protocol;
  if (protocol !== 'http:' && protocol !== 'https:') throw wrong(at, 'is no http or https URL');
  return text;
}

function countAt(value: unknown, at: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 86_400)
    throw wrong(at, 'is no whole number from 1 to 86400');
  return value;
}

function isScalar(value: unknown): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}

function wrong(at: string, what: string): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', `the environment file: ${at} ${what}`);
}
