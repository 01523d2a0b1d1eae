import { CoPilotError } from '../../../protocol/errors.ts';
import type { FrameworkSettings, OptionValue } from '../kit/framework-kind.ts';

/** What a site says of its PanDA; docs/panda.md has each key. */
export interface PandaOptions {
  readonly api: 'v1' | 'legacy';
  /** Goes with a bearer token: `atlas.production`. */
  readonly origin: string | undefined;
  /** `prod_source_label` of the jobs that are asked for. */
  readonly label: string;
  /** What is told to PanDA as the scheduler. */
  readonly scheduler: string;
  readonly heartbeatMs: number;
  readonly mode: 'payload' | 'pilot';
  /** Addresses that transformations may be fetched from, each with all that is below it. */
  readonly transformations: readonly string[];
  /** Where inputs are fetched from, by the storage element's name. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly maxInputBytes: number;
  /** Of the outputs, instead of PanDA's choice. */
  readonly endpoint: string | undefined;
  readonly surl: string | undefined;
  /** What goes before an image and a command; empty: jobs in containers are refused. */
  readonly container: readonly string[];
  /** What is run where a job is for the pilot. */
  readonly pilot: readonly string[];
  readonly takesEvents: boolean;
}

const MINUTE_MS = 60_000;
const MEGABYTE = 1_000_000;
const KEYS: readonly string[] =
  'api origin label scheduler heartbeatMinutes mode transformations inputs maxInputMB endpoint surl container pilot eventService'.split(
    ' ',
  );
const ORIGIN = /^[A-Za-z0-9_-]{1,64}[.:][A-Za-z0-9_-]{1,64}$/u;
const WORD = /^[A-Za-z0-9_.-]{1,64}$/u;

/** Throws `INVALID_CONFIGURATION` with the key's name. */
export function readOptions(settings: FrameworkSettings, name: string): PandaOptions {
  const { options, url, credential } = settings;
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw wrong(unknown, `is no key of it; known are ${KEYS.join(', ')}`);
  const origin = textOf(options, 'origin', ORIGIN);
  if (credential.tokenFile !== undefined && origin === undefined)
    throw wrong('origin', 'goes with a token: the experiment and the role, such as atlas.production');
  return {
    api: oneOf(options, 'api', ['v1', 'legacy']),
    origin,
    label: textOf(options, 'label', WORD) ?? 'managed',
    scheduler: textOf(options, 'scheduler', WORD) ?? `co-pilot-${name}`,
    heartbeatMs: numberOf(options, 'heartbeatMinutes', { from: 1, to: 30, otherwise: 20 }) * MINUTE_MS,
    mode: oneOf(options, 'mode', ['payload', 'pilot']),
    transformations: listOf(options, 'transformations') ?? ownTransformations(url),
    inputs: mapOf(options, 'inputs'),
    maxInputBytes: numberOf(options, 'maxInputMB', { from: 1, to: 256, otherwise: 64 }) * MEGABYTE,
    endpoint: textOf(options, 'endpoint', /^[!-~]{1,128}$/u),
    surl: textOf(options, 'surl', /^[!-~]{1,512}$/u),
    container: listOf(options, 'container') ?? [],
    pilot: listOf(options, 'pilot') ?? [],
    takesEvents: isOn(options, 'eventService'),
  };
}

/** PanDA's own host serves the transformations of its users, on whatever port. */
function ownTransformations(url: string): readonly string[] {
  const { hostname } = new URL(url);
  return [`http://${hostname}/trf/`, `https://${hostname}/trf/`];
}

type Options = Readonly<Record<string, OptionValue>>;

function oneOf<const Word extends string>(
  options: Options,
  key: string,
  words: readonly [Word, ...Word[]],
): Word {
  const value = options[key];
  if (value === undefined) return words[0];
  const word = words.find((known) => known === value);
  if (word === undefined) throw wrong(key, `is one of ${words.join(', ')}`);
  return word;
}

function textOf(options: Options, key: string, pattern: RegExp): string | undefined {
  const value = options[key];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !pattern.test(value)) throw wrong(key, 'is no such text');
  return value;
}

function numberOf(
  options: Options,
  key: string,
  { from, to, otherwise }: { readonly from: number; readonly to: number; readonly otherwise: number },
): number {
  const value = options[key] ?? otherwise;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < from || value > to)
    throw wrong(key, `is a whole number from ${from} to ${to}`);
  return value;
}

function listOf(options: Options, key: string): readonly string[] | undefined {
  const value = options[key];
  if (value === undefined) return undefined;
  if (!isTexts(value)) throw wrong(key, 'is a list of texts');
  return value;
}

function isTexts(value: OptionValue): value is readonly string[] {
  return Array.isArray(value);
}

function mapOf(options: Options, key: string): Readonly<Record<string, string>> {
  const value = options[key];
  if (value === undefined) return {};
  if (typeof value !== 'object' || isTexts(value)) throw wrong(key, 'is a map of texts');
  for (const address of Object.values(value))
    if (!URL.canParse(address) || !address.startsWith('http')) throw wrong(key, `${address} is no address`);
  return value;
}

function isOn(options: Options, key: string): boolean {
  const value = options[key] ?? false;
  if (typeof value !== 'boolean') throw wrong(key, 'is true or false');
  return value;
}

function wrong(key: string, why: string): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', `the options of a PanDA adapter: ${key} ${why}`);
}
