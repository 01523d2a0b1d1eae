import type { Description, NewJob } from '../../../protocol/generated/types.ts';
import type { StoredInput } from '../kit/input-store.ts';
import { encodeState } from './job-state.ts';
import { type Json, isOn, type PandaInput, type PandaJob, textOf, wholeNumber } from './panda-job.ts';
import type { PandaOptions } from './panda-options.ts';
import { WRAPPER_NAME } from './payload-wrapper.ts';
import { PILOT_ERRORS, type PilotError } from './pilot-errors.ts';
import { rucioPath } from './rucio-path.ts';
import { shellWords } from './shell-words.ts';

/** Where the adapter gets a file that a job needs. */
export type Source =
  | { readonly kind: 'wrapper' }
  | { readonly kind: 'transformation'; readonly url: string }
  | {
      readonly kind: 'replica';
      readonly url: string;
      readonly size: number | undefined;
      readonly sum: { readonly algorithm: 'adler32' | 'md5'; readonly hex: string };
    };

export interface WantedInput {
  readonly name: string;
  readonly source: Source;
  readonly executable: boolean;
}

/** A job of PanDA in our words, but for the digests of its inputs: they are known once the files were fetched. */
export interface JobPlan {
  readonly job: PandaJob;
  readonly inputs: readonly WantedInput[];
  readonly newJob: Omit<NewJob, 'description'>;
  readonly description: Omit<Description, 'inputs'>;
}

export type Mapped =
  | { readonly kind: 'plan'; readonly plan: JobPlan }
  | { readonly kind: 'refused'; readonly error: PilotError; readonly reason: string };

/** What a job is mapped with, beside what PanDA says of it. */
export interface Mapping {
  readonly options: PandaOptions;
  /** The PanDA queue, and our name of it. */
  readonly site: string;
  readonly queue: string;
  /** The id of the job in our words. */
  readonly id: string;
  readonly retries: number;
}

const FILE_NAME = /^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]{0,127}$/u;
const PROGRAM = /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}$/u;
const IMAGE = /^(?:docker:\/\/|\/cvmfs\/)?[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,255}$/u;
const MAX_INPUTS = 16;
const MAX_OUTPUTS = 16;
const DEFAULTS = { wallSeconds: 86_400, memoryMiB: 2000, diskMiB: 10_000 };
const MOST = { wallSeconds: 2_592_000, cpuSeconds: 31_104_000, memoryMiB: 16_777_216, diskMiB: 16_777_216 };
const MAX_PRIORITY = 1000;

/** Members that ask for what the adapter cannot do itself, with the reason that PanDA is given. */
const BEYOND_US: Readonly<Record<string, string>> = {
  preprocess: 'it has several steps',
  postprocess: 'it has several steps',
  coprocess: 'it has several steps',
  isHPO: 'it searches hyperparameters, which needs the pilot',
  writeToFile: 'its arguments are lists in files, which needs the pilot',
  eventServiceMerge: 'it merges events of an event service',
};

class Refusal extends Error {
  readonly error: PilotError;
  constructor(error: PilotError, reason: string) {
    super(reason);
    this.error = error;
  }
}

/** The one table from a description of PanDA's to one of ours; docs/panda.md has the same. */
export function mapJob(job: PandaJob, mapping: Mapping): Mapped {
  try {
    return { kind: 'plan', plan: planOf(job, mapping) };
  } catch (caught) {
    if (!(caught instanceof Refusal)) throw caught;
    return { kind: 'refused', error: caught.error, reason: caught.message };
  }
}

/** The job as it is handed over, once every input is in the store. */
export function newJobOf(plan: JobPlan, stored: readonly StoredInput[]): NewJob {
  const inputs = plan.inputs.map(({ name, executable }, at) => {
    const { size, sha256 } = stored[at] ?? { size: 0, sha256: '' };
    return { name, size, sha256, ...(executable && { executable }) };
  });
  return { ...plan.newJob, description: { ...plan.description, inputs } };
}

function planOf(job: PandaJob, mapping: Mapping): JobPlan {
  const { options } = mapping;
  checkOutputs(job);
  const isPilot = options.mode === 'pilot';
  const hasParts = options.takesEvents && isOn(job.members['eventService']);
  const run = isPilot ? pilotRun(options) : payloadRun(job, options);
  const newJob = {
    job: mapping.id,
    ref: String(job.id),
    owner: nameOf(text(job, 'prodUserID'), 'panda'),
    site: nameOf(mapping.site, 'panda'),
    campaign: campaignOf(job),
    priority: Math.min(MAX_PRIORITY, wholeNumber(job.members['currentPriority']) ?? 0),
    retries: mapping.retries,
    state: stateOf(job, mapping),
  };
  const description = {
    command: run.command,
    arguments: [...run.arguments],
    environment: environmentOf(job),
    // A pilot may leave the log alone, and says itself what became of the payload.
    outputs: job.outputs.map(({ lfn, isOptional }) => ({
      name: lfn,
      ...((isOptional || isPilot) && { optional: true }),
    })),
    limits: limitsOf(job),
    requirements: isPilot || hasParts ? `HasPilotMode && ${requirementsOf(job)}` : requirementsOf(job),
    ...(isPilot && { pilot: { dialect: 'panda' as const } }),
    ...(hasParts && { parts: true as const }),
  };
  return { job, inputs: run.inputs, newJob, description };
}

function checkOutputs({ outputs }: PandaJob): void {
  if (outputs.length > MAX_OUTPUTS)
    throw refused(`it has ${outputs.length} outputs, and at most ${MAX_OUTPUTS} are taken`);
  const names = new Set<string>();
  for (const { lfn, endpoint } of outputs) {
    checkName('output', lfn);
    if (names.has(lfn)) throw refused(`it has two outputs ${shown(lfn)}`);
    names.add(lfn);
    // A queue that no storage belongs to: the pilot fails such a job too, with the same code.
    if (endpoint === '')
      throw new Refusal(PILOT_ERRORS.noStorage, `PanDA names no storage for ${shown(lfn)}`);
  }
}

interface Run {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly inputs: readonly WantedInput[];
}

/** The pilot makes of the description what it always makes of it. */
function pilotRun({ pilot }: PandaOptions): Run {
  const [command, ...rest] = pilot;
  if (command === undefined) throw refused('no pilot is configured (options: pilot)');
  return { command, arguments: rest, inputs: [] };
}

function payloadRun(job: PandaJob, options: PandaOptions): Run {
  for (const [member, why] of Object.entries(BEYOND_US))
    if (text(job, member) !== '' || isOn(job.members[member])) throw refused(why);
  if (isOn(job.members['eventService']) && !options.takesEvents)
    throw refused('it is of an event service, which is off (options: eventService)');
  const release = text(job, 'swRelease') || text(job, 'homepackage');
  if (release !== '') throw refused(`it needs the software release ${shown(release)}, which needs the pilot`);
  const program = programOf(job, options);
  const words = [...containerOf(job, options), program.word, ...wordsOf(job)];
  const inputs = [...program.inputs, ...job.inputs.map((input) => replicaOf(input, options))];
  const log = job.outputs.find((output) => output.isLog);
  const run = log === undefined ? bare(words) : wrapped(log.lfn, words);
  const all = [...run.inputs, ...inputs];
  checkInputs(all, job);
  return { ...run, inputs: all };
}

function bare([command = '', ...rest]: readonly string[]): Run {
  return { command, arguments: rest, inputs: [] };
}

/** PanDA wants a log of each job: the wrapper makes it, and takes the payload's words as its arguments, never as text. */
function wrapped(log: string, words: readonly string[]): Run {
  const wrapper: WantedInput = { name: WRAPPER_NAME, source: { kind: 'wrapper' }, executable: true };
  return { command: `./${WRAPPER_NAME}`, arguments: [log, ...words], inputs: [wrapper] };
}

function programOf(
  job: PandaJob,
  { transformations }: PandaOptions,
): { readonly word: string; readonly inputs: readonly WantedInput[] } {
  const transformation = text(job, 'transformation');
  if (!/^https?:/iu.test(transformation)) {
    if (!PROGRAM.test(transformation))
      throw refused(`its transformation ${shown(transformation)} is neither a program's name nor an address`);
    return { word: transformation, inputs: [] };
  }
  const url = addressBelow(transformation, transformations);
  if (url === undefined)
    throw new Refusal(
      PILOT_ERRORS.transformationFailed,
      `transformations are not fetched from ${shown(transformation)} (options: transformations)`,
    );
  const name = url.pathname.split('/').at(-1) ?? '';
  checkName('transformation', name);
  return {
    word: `./${name}`,
    inputs: [{ name, source: { kind: 'transformation', url: url.href }, executable: true }],
  };
}

/** The address where it is one of those, or below it; without a port in the setting, whatever its port. */
function addressBelow(address: string, allowed: readonly string[]): URL | undefined {
  if (!URL.canParse(address)) return undefined;
  const url = new URL(address);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return undefined;
  const isBelow = (text: string): boolean => {
    if (!URL.canParse(text)) return false;
    const root = new URL(text);
    const isHost = root.port === '' ? root.hostname === url.hostname : root.host === url.host;
    return root.protocol === url.protocol && isHost && url.pathname.startsWith(root.pathname);
  };
  return allowed.some(isBelow) ? url : undefined;
}

function wordsOf(job: PandaJob): readonly string[] {
  const read = shellWords(text(job, 'jobPars'));
  if (read.kind === 'refused')
    throw refused(`jobPars has ${read.what} at ${read.at}, which needs a shell, and none is run`);
  return read.words;
}

function containerOf(job: PandaJob, { container }: PandaOptions): readonly string[] {
  const image = text(job, 'container_name');
  if (image === '') return [];
  if (container.length === 0)
    throw refused(`it wants the container ${shown(image)}, and none are run (options: container)`);
  if (!IMAGE.test(image) || image.split('/').includes('..'))
    throw refused(`its container ${shown(image)} is no name of an image`);
  return [...container, image];
}

function replicaOf({ lfn, scope, size, checksum, endpoint }: PandaInput, options: PandaOptions): WantedInput {
  checkName('input', lfn);
  const cannot = (why: string): Refusal => new Refusal(PILOT_ERRORS.stageInFailed, why);
  if (!/^[A-Za-z0-9_.-]{1,128}$/u.test(scope) || scope.split('.').includes(''))
    throw cannot(`the scope ${shown(scope)} of its input ${shown(lfn)} is none`);
  const base = Object.hasOwn(options.inputs, endpoint) ? options.inputs[endpoint] : undefined;
  if (base === undefined) throw cannot(`inputs are not fetched from ${shown(endpoint)} (options: inputs)`);
  const sum = sumOf(checksum);
  if (sum === undefined) throw cannot(`PanDA knows no checksum of its input ${shown(lfn)}`);
  if (size !== undefined && size > options.maxInputBytes)
    throw cannot(
      `its input ${shown(lfn)} has ${size} bytes, and at most ${options.maxInputBytes} are fetched`,
    );
  const url = `${base.replace(/\/+$/u, '')}/${rucioPath(scope, lfn)}`;
  return { name: lfn, source: { kind: 'replica', url, size, sum }, executable: false };
}

function sumOf(text = ''): Extract<Source, { kind: 'replica' }>['sum'] | undefined {
  const [, adler32] = /^ad:([0-9a-f]{1,8})$/iu.exec(text) ?? [];
  if (adler32 !== undefined) return { algorithm: 'adler32', hex: adler32.toLowerCase().padStart(8, '0') };
  const [, md5] = /^(?:md:)?([0-9a-f]{32})$/iu.exec(text) ?? [];
  return md5 === undefined ? undefined : { algorithm: 'md5', hex: md5.toLowerCase() };
}

function checkInputs(inputs: readonly WantedInput[], job: PandaJob): void {
  if (inputs.length > MAX_INPUTS)
    throw refused(`it needs ${inputs.length} files, and at most ${MAX_INPUTS} are given`);
  const names = new Set(job.outputs.map((output) => output.lfn));
  for (const { name } of inputs) {
    if (names.has(name)) throw refused(`two of its files are called ${shown(name)}`);
    names.add(name);
  }
}

function environmentOf(job: PandaJob): Description['environment'] {
  return {
    PandaID: String(job.id),
    PanDA_AttemptNr: String(job.attempt),
    PanDA_TaskID: text(job, 'taskID'),
    ATHENA_PROC_NUMBER: String(coresOf(job)),
  };
}

function coresOf(job: PandaJob): number {
  return Math.min(1024, Math.max(1, wholeNumber(job.members['coreCount']) ?? 1));
}

/** PanDA's MB are our MiB; processor time is for each core. */
function limitsOf(job: PandaJob): Description['limits'] {
  const limit = (name: string): number => wholeNumber(job.members[name]) ?? 0;
  const within = (value: number, from: number, to: number): number => Math.min(to, Math.max(from, value));
  const cpuSeconds = limit('maxCpuCount') * coresOf(job);
  return {
    wallSeconds: within(limit('maxWalltime') || DEFAULTS.wallSeconds, 1, MOST.wallSeconds),
    ...(cpuSeconds > 0 && { cpuSeconds: within(cpuSeconds, 1, MOST.cpuSeconds) }),
    memoryMiB: within(limit('minRamCount') || DEFAULTS.memoryMiB, 16, MOST.memoryMiB),
    diskMiB: within(limit('maxDiskCount') || DEFAULTS.diskMiB, 1, MOST.diskMiB),
  };
}

function requirementsOf(job: PandaJob): string {
  const { memoryMiB, diskMiB } = limitsOf(job);
  return `Cpus >= ${coresOf(job)} && MemoryMiB >= ${memoryMiB} && DiskMiB >= ${diskMiB}`;
}

function stateOf(job: PandaJob, { options, site }: Mapping): string {
  const packed = encodeState({
    id: job.id,
    attempt: job.attempt,
    site,
    task: wholeNumber(job.members['taskID']),
    jobset: wholeNumber(job.members['jobsetID']),
    outputs: job.outputs.map(({ lfn, scope, endpoint, isLog, isOptional }) => ({
      lfn,
      scope,
      endpoint,
      isOptional,
      guid: isLog && job.logGuid !== '' ? job.logGuid : undefined,
    })),
    takesEvents: isOn(job.members['eventService']),
    members: options.mode === 'pilot' ? job.members : undefined,
  });
  if (packed === undefined) throw refused('its description is too long to be kept with the job');
  return packed;
}

function campaignOf(job: PandaJob): string {
  const task = text(job, 'taskID');
  return nameOf(task === '' ? `jobset-${text(job, 'jobsetID')}` : `task-${task}`, 'panda');
}

/** A name as ours are: letters, digits, dots, dashes; of a DN, what its last CN says. */
function nameOf(wanted: string, otherwise: string): string {
  const common = wanted.split('/CN=').at(-1) ?? wanted;
  const name = common
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/gu, '-')
    .slice(0, 64)
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/gu, '');
  return name === '' ? otherwise : name;
}

function checkName(what: string, name: string): void {
  if (!FILE_NAME.test(name)) throw refused(`its ${what} ${shown(name)} has a name that is not taken`);
}

function text(job: PandaJob, name: string): string {
  const value: Json | undefined = job.members[name];
  return textOf(value);
}

function refused(reason: string): Refusal {
  return new Refusal(PILOT_ERRORS.payloadFailed, reason);
}

/** A text of PanDA's as it may stand in a sentence. */
function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
