/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** One file of a job, its members brought together from the lists that PanDA keeps in parallel. */
export interface PandaInput {
  readonly lfn: string;
  readonly scope: string;
  readonly size: number | undefined;
  /** `ad:` and an Adler-32, or an MD5; undefined where PanDA knows none. */
  readonly checksum: string | undefined;
  readonly endpoint: string;
}

export interface PandaOutput {
  readonly lfn: string;
  readonly scope: string;
  readonly endpoint: string;
  readonly isLog: boolean;
  readonly isOptional: boolean;
}

/** A job as PanDA describes it, held against bounds. Missing text is '', a missing number is undefined. */
export interface PandaJob {
  readonly id: number;
  readonly attempt: number;
  readonly inputs: readonly PandaInput[];
  readonly outputs: readonly PandaOutput[];
  readonly logGuid: string;
  /** What is in `KEPT_MEMBERS` and nothing else, as it came. */
  readonly members: Readonly<Record<string, Json>>;
}

export type ReadJob =
  | { readonly kind: 'job'; readonly job: PandaJob }
  /** `id` and `attempt` are there where they could be read: PanDA can be told. */
  | {
      readonly kind: 'refused';
      readonly reason: string;
      readonly id: number | undefined;
      readonly attempt: number | undefined;
    };

/** Bytes of JSON that a description may have. */
const MAX_BYTES = 64 * 1024;
const MAX_FILES = 64;

/**
 * The members of a description that go on from the adapter. What is not here stays: `secrets`, `pilotSecrets`, `credname`, `myproxy`,
 * and whatever secret a later PanDA adds.
 */
const KEPT_MEMBERS: readonly string[] =
  'PandaID prodSourceLabel swRelease homepackage transformation jobName jobDefinitionID cloud inFiles dispatchDblock dispatchDBlockToken dispatchDBlockTokenForOut outFiles destinationDblock destinationDBlockToken prodDBlocks prodDBlockToken realDatasets realDatasetsIn fileDestinationSE logFile logGUID jobPars attemptNr GUID checksum fsize scopeIn scopeOut scopeLog ddmEndPointIn ddmEndPointOut destinationSE prodUserID maxCpuCount minRamCount maxDiskCount cmtConfig processingType transferType sourceSite currentPriority taskID coreCount jobsetID reqID nucleus maxWalltime resource_type loopingCheck debug cloneJob eventService prodDBlockTokenForOutput eventServiceMerge writeToFile allowNoOutput altStageOut putLogToOS noExecStrCnv inFilePosEvtNum usePrefetcher container_name ioIntensity ioIntensityUnit isHPO useVP onSiteMerging nSent preprocess postprocess coprocess'.split(
    ' ',
  );

const KEPT = new Set(KEPT_MEMBERS);

/** Reads one description of an answer to `acquire_jobs` or `getJob` (PanDA server, `Protocol.py`). */
export function readJob(value: unknown): ReadJob {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { kind: 'refused', reason: 'PanDA describes no job', id: undefined, attempt: undefined };
  const all: Readonly<Record<string, unknown>> = { ...value };
  const id = wholeNumber(all['PandaID']);
  const attempt = wholeNumber(all['attemptNr']);
  const refused = (reason: string): ReadJob => ({ kind: 'refused', reason, id, attempt });
  if (id === undefined) return refused('PandaID is no number');
  if (attempt === undefined) return refused('attemptNr is no number');
  const members = keptMembers(all);
  if (members === undefined) return refused(`its description is over ${MAX_BYTES} bytes`);
  const text = (name: string): string => textOf(members[name]);
  const inputs = inputsOf(text);
  if (typeof inputs === 'string') return refused(inputs);
  const outputs = outputsOf(text);
  if (typeof outputs === 'string') return refused(outputs);
  return { kind: 'job', job: { id, attempt, inputs, outputs, logGuid: text('logGUID'), members } };
}

/** Text of a member: PanDA writes NULL for none. */
export function textOf(value: Json | undefined): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== 'NULL' && value !== 'None' ? value : '';
}

/** A whole number of a member, also where it came as text; undefined where it is none, or negative. */
export function wholeNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,15}$/u.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** A member that PanDA sets to "True" where it is on. */
export function isOn(value: Json | undefined): boolean {
  return value === true || value === 'True' || value === 'true';
}

function keptMembers(all: Readonly<Record<string, unknown>>): Readonly<Record<string, Json>> | undefined {
  const kept = Object.entries(all).filter(([name, value]) => KEPT.has(name) && isScalar(value));
  const members = Object.fromEntries(kept) as Readonly<Record<string, Json>>;
  return Buffer.byteLength(JSON.stringify(members)) > MAX_BYTES ? undefined : members;
}

function isScalar(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

type TextOf = (name: string) => string;

/** The members of a comma-joined list; none of an empty one. */
function listOf(text: string): readonly string[] {
  return text === '' ? [] : text.split(',');
}

function inputsOf(text: TextOf): readonly PandaInput[] | string {
  const names = listOf(text('inFiles'));
  if (names.length > MAX_FILES) return `it has more than ${MAX_FILES} inputs`;
  const [sizes, sums, scopes, endpoints] = ['fsize', 'checksum', 'scopeIn', 'ddmEndPointIn'].map((name) =>
    listOf(text(name)),
  );
  const odd = [sizes, sums, scopes].find((list) => list !== undefined && list.length > names.length);
  if (odd !== undefined) return 'the lists of its inputs are not of one length';
  return names.map((lfn, at) => ({
    lfn,
    scope: noNull(scopes?.[at]),
    size: wholeNumber(sizes?.[at]),
    checksum: noNull(sums?.[at]) === '' ? undefined : noNull(sums?.[at]),
    endpoint: noNull(endpoints?.[at]),
  }));
}

/** `scopeOut` leaves the log out, all other lists of outputs have it. */
function outputsOf(text: TextOf): readonly PandaOutput[] | string {
  const names = listOf(text('outFiles'));
  if (names.length > MAX_FILES) return `it has more than ${MAX_FILES} outputs`;
  const log = text('logFile');
  const scopes = [...listOf(text('scopeOut'))];
  const endpoints = listOf(text('ddmEndPointOut'));
  const places = listOf(text('fileDestinationSE'));
  const optional = new Set(listOf(text('allowNoOutput')));
  if (log !== '' && !names.includes(log)) return 'its log is none of its outputs';
  const outputs = names.map((lfn, at) => ({
    lfn,
    scope: lfn === log ? text('scopeLog') : noNull(scopes.shift()),
    endpoint: noNull(endpoints[at]) === '' ? noNull(places[at]) : noNull(endpoints[at]),
    isLog: lfn === log,
    isOptional: optional.has(lfn),
  }));
  return scopes.length > 0 ? 'it has more scopes than outputs' : outputs;
}

function noNull(text: string | undefined): string {
  return text === undefined || text === 'NULL' ? '' : text;
}
