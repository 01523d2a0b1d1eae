import { basename, dirname, resolve } from 'node:path';
import { parseExpression } from '../../protocol/classad/index.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/generated/types.ts';
import {
  type Campaign,
  type CampaignInput,
  type CampaignOutput,
  DEFAULT_QUEUE,
  type NamedText,
} from './campaign.ts';
import { readInput } from './input-files.ts';
import { nearestName } from './nearest-name.ts';
import { readParameters } from './parameters.ts';
import { type FieldPath, type Problem, shown } from './problem.ts';
import type { Source } from './source.ts';
import { parseTemplate } from './template.ts';
import { bytesOfSize, secondsOf } from './units.ts';

/** The fields that the schema has found right, still as they were written; the others are left out. */
interface Written {
  readonly name?: string;
  readonly queue?: string;
  readonly priority?: number;
  readonly retries?: number;
  readonly command?: string;
  readonly arguments?: readonly unknown[];
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly inputs?: readonly (string | WrittenInput)[] | Readonly<Record<string, string | WrittenInput>>;
  readonly outputs?: readonly (string | WrittenOutput)[];
  readonly limits?: Partial<Record<'wall' | 'cpu' | 'memory' | 'disk', string>> & {
    readonly processes?: number;
  };
  readonly requirements?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
}

interface WrittenInput {
  readonly name?: string;
  readonly path?: string;
  readonly content?: string;
  readonly executable?: boolean;
}

interface WrittenOutput {
  readonly name: string;
  readonly optional?: boolean;
  readonly maximum?: string;
}

export interface Built {
  readonly campaign: Campaign;
  readonly problems: readonly Problem[];
}

const DEFAULT_RETRIES = 2;
const MIB = 1024 * 1024;
const MAX_LIMIT_MIB = 16_777_216;
const MAX_WALL_SECONDS = 2_592_000;
const MAX_CPU_SECONDS = 31_104_000;

/**
 * Makes a campaign of the fields whose shape the schema found right, and says what else is wrong with them. Reads the input
 * files. `broken` names the top-level fields to leave out; the campaign is whole only where there are none and no problems.
 */
export async function buildCampaign(
  file: string,
  source: Source,
  broken: ReadonlySet<string>,
): Promise<Built> {
  const written = soundFields(source, broken);
  const problems: Problem[] = [];
  const { parameters, problems: sweepProblems } = readParameters(source, written.parameters ?? {});
  const reader: Reader = { source, problems, parameters: parameterNames(source) };
  const campaign: Campaign = {
    file,
    name: written.name ?? '',
    queue: written.queue ?? DEFAULT_QUEUE,
    priority: written.priority ?? 0,
    retries: written.retries ?? DEFAULT_RETRIES,
    command: checkedPlain(reader, ['command'], written.command ?? ''),
    arguments: (written.arguments ?? []).map((_, at) => textAt(reader, ['arguments', at])),
    environment: readEnvironment(reader, written.environment ?? {}),
    inputs: await readInputs(reader, file, written.inputs ?? []),
    outputs: (written.outputs ?? []).map((output, at) => readOutput(reader, output, at)),
    limits: readLimits(reader, written.limits ?? {}),
    requirements: readRequirements(reader, written.requirements ?? ''),
    parameters,
  };
  return { campaign, problems: [...sweepProblems, ...problems] };
}

function soundFields(source: Source, broken: ReadonlySet<string>): Written {
  if (typeof source.data !== 'object' || source.data === null) return {};
  const sound = Object.entries(source.data).filter(([key]) => !broken.has(key));
  // The schema vouches for the shape; this is the one place that trusts it.
  return Object.fromEntries(sound);
}

/** Names that were meant as parameters, also where their values are wrong: one mistake is told once. */
function parameterNames({ data }: Source): readonly string[] {
  if (typeof data !== 'object' || data === null || !('parameters' in data)) return [];
  return typeof data.parameters === 'object' && data.parameters !== null ? Object.keys(data.parameters) : [];
}

interface Reader {
  readonly source: Source;
  readonly problems: Problem[];
  /** Names that `${name}` may name. */
  readonly parameters: readonly string[];
}

/** A text of the file that may name parameters. */
function textAt(reader: Reader, path: FieldPath): string {
  return checkedTemplate(reader, path, reader.source.text(path) ?? '');
}

function checkedTemplate(reader: Reader, path: FieldPath, text: string): string {
  const result = parseTemplate(text);
  const { source, problems, parameters } = reader;
  if (result.kind === 'fault') problems.push(source.at(path, result.message));
  else {
    for (const name of new Set(result.template.names)) {
      if (!parameters.includes(name)) problems.push(source.at(path, undefinedName(name, parameters)));
    }
  }
  return text;
}

/** A text in which parameters have no place: better told than taken literally. */
function checkedPlain(reader: Reader, path: FieldPath, text: string): string {
  if (text.includes('${')) {
    reader.problems.push(reader.source.at(path, 'parameters are not filled in here; use them in arguments'));
  }
  return text;
}

function undefinedName(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  const right = nearest === undefined ? 'add it to parameters' : `did you mean \${${nearest}}?`;
  return `\${${name}} names no parameter; ${right} (write $\${${name}} for the text itself)`;
}

function readEnvironment(
  reader: Reader,
  environment: Readonly<Record<string, unknown>>,
): readonly NamedText[] {
  return Object.keys(environment).map((name) => ({ name, text: textAt(reader, ['environment', name]) }));
}

async function readInputs(
  reader: Reader,
  file: string,
  inputs: NonNullable<Written['inputs']>,
): Promise<readonly CampaignInput[]> {
  const entries = isList(inputs)
    ? inputs.map((input, at) => ({ input: inputFields(input), path: ['inputs', at] as FieldPath }))
    : Object.entries(inputs).map(([name, input]) => ({
        input: { ...inputFields(input), name },
        path: ['inputs', name] as FieldPath,
      }));
  const read: CampaignInput[] = [];
  for (const { input, path } of entries) {
    const made = await readOneInput(reader, file, input, path);
    if (made !== undefined) read.push(made);
  }
  return read;
}

function isList(
  inputs: NonNullable<Written['inputs']>,
): inputs is Extract<NonNullable<Written['inputs']>, readonly unknown[]> {
  return Array.isArray(inputs);
}

function inputFields(input: string | WrittenInput): WrittenInput {
  return typeof input === 'string' ? { path: input } : input;
}

async function readOneInput(
  reader: Reader,
  file: string,
  input: WrittenInput,
  path: FieldPath,
): Promise<CampaignInput | undefined> {
  const { source, problems } = reader;
  const { path: from, content, executable } = input;
  const name = input.name ?? (from === undefined ? undefined : basename(from));
  if ((from === undefined) === (content === undefined)) {
    problems.push(
      source.at(path, 'needs either path or content; write for example {name: card.txt, path: cards/z.txt}'),
    );
    return undefined;
  }
  if (name === undefined) {
    problems.push(source.at(path, 'content needs a name; add for example name: card.txt'));
    return undefined;
  }
  checkedTemplate(reader, input.name === undefined ? path : namePath(reader, path), name);
  if (content !== undefined) {
    checkedTemplate(reader, [...path, 'content'], content);
    return { kind: 'content', name, content, executable: executable ?? false };
  }
  return readFileInput(reader, file, { name, from: from ?? '', executable }, path);
}

/** Where an input's name was written: its own field in a list, the key in a mapping. */
function namePath({ source }: Reader, path: FieldPath): FieldPath {
  return source.text([...path, 'name']) === undefined ? path : [...path, 'name'];
}

async function readFileInput(
  reader: Reader,
  file: string,
  input: { readonly name: string; readonly from: string; readonly executable: boolean | undefined },
  path: FieldPath,
): Promise<CampaignInput | undefined> {
  const { source, problems } = reader;
  const fromPath = source.text(path) === undefined ? [...path, 'path'] : path;
  const before = problems.length;
  checkedPlain(reader, fromPath, input.from);
  if (problems.length > before) return undefined;
  const absolute = resolve(dirname(file), input.from);
  const found = await readInput(absolute);
  if (found.kind === 'fault') {
    problems.push(source.at(fromPath, found.message));
    return undefined;
  }
  const { name, executable = found.executable } = input;
  return { kind: 'file', name, path: absolute, size: found.size, sha256: found.sha256, executable };
}

function readOutput(reader: Reader, output: string | WrittenOutput, at: number): CampaignOutput {
  if (typeof output === 'string') {
    return { name: textAt(reader, ['outputs', at]), optional: false, maxBytes: undefined };
  }
  const maxBytes = output.maximum === undefined ? undefined : bytesOfSize(output.maximum);
  if (maxBytes !== undefined && maxBytes > 2 ** 40) {
    reader.problems.push(reader.source.at(['outputs', at, 'maximum'], 'is over 1024GiB'));
  }
  return { name: textAt(reader, ['outputs', at, 'name']), optional: output.optional ?? false, maxBytes };
}

function readLimits(reader: Reader, limits: NonNullable<Written['limits']>): Limits {
  const bounded = (field: string, value: number, bounds: Bounds): number => {
    if (value >= bounds.min && value <= bounds.max) return value;
    const message = `${shown(reader.source.text(['limits', field]))} is out of bounds; write ${bounds.right}`;
    reader.problems.push(reader.source.at(['limits', field], message));
    return bounds.min;
  };
  const { cpu, processes } = limits;
  return {
    wallSeconds: bounded('wall', secondsOf(limits.wall ?? '1h') ?? 0, WALL_BOUNDS),
    ...(cpu !== undefined && { cpuSeconds: bounded('cpu', secondsOf(cpu) ?? 0, CPU_BOUNDS) }),
    memoryMiB: bounded('memory', mebibytes(limits.memory ?? '1GiB'), MEMORY_BOUNDS),
    diskMiB: bounded('disk', mebibytes(limits.disk ?? '1GiB'), DISK_BOUNDS),
    ...(processes !== undefined && { processes }),
  };
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly right: string;
}

const WALL_BOUNDS: Bounds = { min: 1, max: MAX_WALL_SECONDS, right: '1s to 30d' };
const CPU_BOUNDS: Bounds = { min: 1, max: MAX_CPU_SECONDS, right: '1s to 360d' };
const MEMORY_BOUNDS: Bounds = { min: 16, max: MAX_LIMIT_MIB, right: '16MiB to 16TiB' };
const DISK_BOUNDS: Bounds = { min: 1, max: MAX_LIMIT_MIB, right: '1MiB to 16TiB' };

/** Whole MiB, rounded up: a limit is never tighter than what was written. */
function mebibytes(size: string): number {
  return Math.ceil((bytesOfSize(size) ?? 0) / MIB);
}

function readRequirements(reader: Reader, requirements: string): string {
  if (requirements.trim() === '') return '';
  try {
    parseExpression(requirements);
  } catch (caught) {
    if (!(caught instanceof CoPilotError)) throw caught;
    const message = `is no ClassAd expression: ${caught.message}; write for example MemoryMiB >= 2048`;
    reader.problems.push(reader.source.at(['requirements'], message));
  }
  return requirements;
}
