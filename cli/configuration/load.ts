import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';
import { readBoundedText } from '../campaign/bounded-text.ts';
import type { Problem } from '../campaign/problem.ts';
import type { Source } from '../campaign/source.ts';
import { crossFaults } from './cross-checks.ts';
import { type ConfigurationProblem, layered, type Layers, settingsOf } from './layers.ts';
import { environmentOverrides, flagOverrides, type ReadOverride } from './override.ts';
import { FILE_VARIABLE, type Setting, type Settings, originText } from './settings.ts';

export interface ConfigurationOptions {
  /** Of the installation; its `co-pilot.yaml` is read unless another file is named. */
  readonly directory: string;
  /** With `COPILOT_CONFIG` for another file, and the settings. */
  readonly environment: NodeJS.ProcessEnv;
  /** As `--set` takes them: `KEY=VALUE`. */
  readonly flags?: readonly string[];
}

/** What a person has set, checked and complete. */
export interface Configuration {
  /** Undefined where there is none. */
  readonly file: string | undefined;
  readonly settings: Settings;
  readonly entries: readonly Setting[];
}

export type ConfigurationCheck =
  | { readonly kind: 'configuration'; readonly configuration: Configuration }
  | { readonly kind: 'problems'; readonly problems: readonly ConfigurationProblem[] };

const FILE_NAME = 'co-pilot.yaml';
const MAX_FILE_BYTES = 256 * 1024;
const MAX_PROBLEMS = 50;
const WRITABLE_BY_OTHERS = 0o022;

/** Rejects with `INVALID_CONFIGURATION`, whose message has a line for each problem. */
export async function loadConfiguration(options: ConfigurationOptions): Promise<Configuration> {
  const checked = await checkConfiguration(options);
  if (checked.kind === 'configuration') return checked.configuration;
  throw new CoPilotError('INVALID_CONFIGURATION', checked.problems.map(problemText).join('\n'));
}

/** As `loadConfiguration`, with the problems as data; never rejects for what is wrong with the configuration. */
export async function checkConfiguration(options: ConfigurationOptions): Promise<ConfigurationCheck> {
  const read = await readSource(options);
  if (read.kind === 'problems') return read;
  const overrides = [...environmentOverrides(options.environment), ...flagOverrides(options.flags ?? [])];
  const checked = await check(read.file, read.source, overrides);
  return checked.kind === 'configuration' ? placed(checked, options) : checked;
}

/** A file that lies in an installation says of no other one where it is: whoever reads it is there already. */
function placed(
  checked: Extract<ConfigurationCheck, { kind: 'configuration' }>,
  { directory, environment }: ConfigurationOptions,
): ConfigurationCheck {
  const { entries, file } = checked.configuration;
  const said = entries.find(({ path }) => path.join('.') === 'paths.data');
  if (said?.origin.kind !== 'file' || isNamed(environment[FILE_VARIABLE])) return checked;
  if (said.value === resolve(directory)) return checked;
  const message = `this file lies in an installation itself; write it elsewhere, and name it with --config or ${FILE_VARIABLE}`;
  const place = `${file ?? ''}:${said.origin.line}:1`;
  return { kind: 'problems', problems: [{ place, field: 'paths.data', message, order: 0 }] };
}

function isNamed(file: string | undefined): file is string {
  return file !== undefined && file !== '';
}

export function problemText({ place, field, message }: ConfigurationProblem): string {
  return `${place}: ${field === '' ? '' : `${field}: `}${message}`;
}

type ReadSource =
  | { readonly kind: 'source'; readonly file: string; readonly source: Source | undefined }
  | { readonly kind: 'problems'; readonly problems: readonly ConfigurationProblem[] };

async function readSource({ directory, environment }: ConfigurationOptions): Promise<ReadSource> {
  const named = environment[FILE_VARIABLE];
  const file = isNamed(named) ? resolve(named) : join(directory, FILE_NAME);
  const found = await stat(file).catch(() => undefined);
  if (found === undefined && !isNamed(named)) return { kind: 'source', file, source: undefined };
  if (found !== undefined && (found.mode & WRITABLE_BY_OTHERS) !== 0)
    return failed(file, [{ line: 1, column: 1, field: '', message: MUST_BE_OURS }]);
  const text = await readBoundedText(file, MAX_FILE_BYTES);
  if (typeof text !== 'string') return failed(file, [text]);
  if (isEmpty(text)) return { kind: 'source', file, source: undefined };
  const { parseSource } = await import('../campaign/source.ts');
  const parsed = parseSource(text, 'remove it, or set something in it');
  return parsed.kind === 'source'
    ? { kind: 'source', file, source: parsed.source }
    : failed(file, parsed.problems);
}

const MUST_BE_OURS =
  'the file can be changed by other users, who could send agents elsewhere: run chmod go-w on it';

/** Comments alone say nothing, which is right. */
function isEmpty(text: string): boolean {
  return text.split('\n').every((line) => /^\s*(?:#.*)?$/.test(line));
}

async function check(
  file: string,
  source: Source | undefined,
  read: readonly ReadOverride[],
): Promise<ConfigurationCheck> {
  const overrides = read.flatMap((entry) => (entry.kind === 'override' ? [entry.override] : []));
  const layers = layered(file, source, overrides);
  const isSet = source !== undefined || overrides.length > 0;
  const found = [...layers.inline, ...(isSet ? await schemaProblems(layers) : [])];
  const wrong = read.flatMap((entry) => (entry.kind === 'wrong' ? [asProblem(entry)] : []));
  // What does not go together can be told only where every value is one.
  const cross = found.length === 0 ? crossProblems(layers) : [];
  const problems = [...found, ...cross, ...wrong];
  if (problems.length > 0) return { kind: 'problems', problems: inOrder(problems) };
  const entries = layers.settings();
  const configuration = { file: source && file, settings: settingsOf(entries), entries };
  return { kind: 'configuration', configuration };
}

/** Loaded for what somebody has set: most commands run where nothing is, and would wait for it. */
async function schemaProblems(layers: Layers): Promise<readonly ConfigurationProblem[]> {
  const { configurationProblems } = await import('./schema-check.ts');
  return configurationProblems(layers);
}

function crossProblems(layers: Layers): readonly ConfigurationProblem[] {
  return crossFaults(settingsOf(layers.settings())).map(({ path, message }) => layers.at(path, message));
}

function asProblem({ wrong }: Extract<ReadOverride, { kind: 'wrong' }>): ConfigurationProblem {
  return { place: originText(wrong.origin), field: '', message: wrong.message, order: Infinity };
}

function inOrder(problems: readonly ConfigurationProblem[]): readonly ConfigurationProblem[] {
  const unique = new Map(problems.map((problem) => [problemText(problem), problem]));
  return [...unique.values()]
    .sort((one, other) => (one.order === other.order ? 0 : one.order - other.order))
    .slice(0, MAX_PROBLEMS);
}

function failed(file: string, problems: readonly Problem[]): ReadSource {
  return {
    kind: 'problems',
    problems: problems.map(({ line, column, field, message }) => ({
      place: `${file}:${line}:${column}`,
      field,
      message,
      order: line * 1e6 + column,
    })),
  };
}
