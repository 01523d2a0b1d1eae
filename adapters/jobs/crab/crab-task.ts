import { createHash } from 'node:crypto';
import { CoPilotError } from '../../../protocol/errors.ts';
import { isObject } from './rest-answer.ts';

/** What a task is, of the many columns of a row those that decide something here. */
export interface CrabTask {
  readonly name: string;
  readonly user: string;
  /** SHA-1 of DN, group and role: part of the LFN on temporary storage. The DN itself goes no further. */
  readonly userHash: string;
  /** Unix time in seconds. */
  readonly startedSeconds: number;
  readonly software: string;
  readonly architecture: string;
  readonly isLhe: boolean;
  readonly totalEvents: number;
  readonly eventsPerJob: number;
  readonly eventsPerLumi: number;
  readonly sandbox: string;
  readonly publishName: string;
  readonly primaryDataset: string;
  readonly destination: string;
  readonly isPublished: boolean;
  readonly outputs: readonly CrabOutput[];
  readonly savesLogs: boolean;
  readonly transfersOutputs: boolean;
  readonly outputLfn: string;
  readonly scriptExe: string;
  readonly scriptArguments: readonly string[];
  readonly maxMinutes: number;
  readonly memoryMiB: number;
  readonly cores: number;
  readonly priority: number;
  readonly isOneEvent: boolean;
  readonly isDryRun: boolean;
}

export interface CrabOutput {
  /** Without the job's number. */
  readonly name: string;
  readonly kind: 'EDM' | 'TFILE' | 'FAKE';
}

/** Who asks for what: enough to answer for a task that is refused. */
export interface TaskHead {
  readonly name: string;
  readonly user: string;
  readonly command: 'SUBMIT' | 'KILL' | 'RESUBMIT' | 'OTHER';
  readonly schedd: string;
}

const NAME = /^[A-Za-z0-9_:-]{1,232}$/;
const USER = /^[a-z][a-z0-9_]{0,19}$/;
const SOFTWARE = /^CMSSW(?:_[0-9]{1,4}){3}(?:_[A-Za-z0-9_]{1,40})?$/;
const ARCHITECTURE = /^[a-z]{1,10}[0-9]{1,3}_[a-z0-9]{1,16}_[a-z0-9]{1,16}$/;
const SANDBOX = /^[A-Za-z0-9][A-Za-z0-9._-]{0,159}$/;
const LFN = /^\/store(?:\/[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,99}){1,20}\/?$/;
const DATASET = /^[A-Za-z0-9][A-Za-z0-9_-]{0,98}$/;
const PUBLISH = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,130}$/;
const SITE = /^T[0-3]_[A-Z]{2}_[A-Za-z0-9_]{1,60}$/;
const FILE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/;

/** Jobs of one task, as CRAB itself bounds them. */
const MAX_JOBS = 10_000;
/** Files a job may leave, beside its report, its log and its status. */
const MAX_OUTPUTS = 13;
const MAX_ARGUMENTS = 32;
/** CMSSW counts events in 32 bits. */
const MAX_EVENTS = 2 ** 32 - 1;
const MAX_MINUTES = 21.5 * 60;
const MAX_MEMORY_MIB = 1_048_576;
const MAX_CORES = 256;

/** Undefined where the row names no task at all. */
export function readHead(row: unknown): TaskHead | undefined {
  if (!isObject(row)) return undefined;
  const { tm_taskname: name, tm_username: user, tm_task_command: command, tm_schedd: schedd } = row;
  if (typeof name !== 'string' || !NAME.test(name)) return undefined;
  return {
    name,
    user: typeof user === 'string' ? user.slice(0, 64) : '',
    command: command === 'SUBMIT' || command === 'KILL' || command === 'RESUBMIT' ? command : 'OTHER',
    schedd: typeof schedd === 'string' ? schedd : '',
  };
}

/** Throws `INVALID_REQUEST` with what cannot be run here, for the task's user to read. */
export function readTask(row: unknown): CrabTask {
  if (!isObject(row)) throw refused('the task is no dictionary');
  const read = columnsOf(row);
  const type = read.text('tm_job_type', /^[A-Za-z]{1,20}$/);
  if (type !== 'PrivateMC')
    throw refused(
      `jobs of type ${type} need input data, which machines outside the grid do not have; PrivateMC is run`,
    );
  const algorithm = read.text('tm_split_algo', /^[A-Za-z]{1,40}$/);
  if (algorithm !== 'EventBased') throw refused(`splitting ${algorithm} is not done here; EventBased is`);
  const split = row['tm_split_args'];
  if (!isObject(split)) throw refused('tm_split_args is no dictionary');
  const task: CrabTask = {
    name: read.text('tm_taskname', NAME),
    user: read.text('tm_username', USER),
    userHash: hashOf(read.text('tm_user_dn', /^\/[ -~]{1,510}$/), row['tm_user_group'], row['tm_user_role']),
    startedSeconds: read.number('tm_start_time', 0, MAX_EVENTS),
    software: read.text('tm_job_sw', SOFTWARE),
    architecture: read.text('tm_job_arch', ARCHITECTURE),
    isLhe: row['tm_generator'] === 'lhe',
    totalEvents: Math.floor(read.number('tm_totalunits', 1, MAX_EVENTS)),
    eventsPerJob: columnsOf(split).number('events_per_job', 1, MAX_EVENTS),
    // The stock worker's own default.
    eventsPerLumi: isUnset(row['tm_events_per_lumi'])
      ? 100
      : read.number('tm_events_per_lumi', 1, MAX_EVENTS),
    sandbox: read.text('tm_user_sandbox', SANDBOX),
    publishName: read.text('tm_publish_name', PUBLISH),
    primaryDataset: read.text('tm_primary_dataset', DATASET),
    destination: read.text('tm_asyncdest', SITE),
    isPublished: read.flag('tm_publication'),
    outputs: readOutputs(row),
    savesLogs: read.flag('tm_save_logs'),
    transfersOutputs: read.flag('tm_transfer_outputs'),
    outputLfn: read.text('tm_output_lfn', LFN),
    scriptExe: isUnset(row['tm_scriptexe']) ? '' : read.text('tm_scriptexe', FILE),
    scriptArguments: readArguments(row['tm_scriptargs']),
    maxMinutes: read.number('tm_maxjobruntime', 1, MAX_MINUTES),
    memoryMiB: Math.ceil(read.number('tm_maxmemory', 16, MAX_MEMORY_MIB)),
    cores: read.number('tm_numcores', 1, MAX_CORES),
    priority: Math.round(read.number('tm_priority', -1_000_000, 1_000_000)),
    isOneEvent: row['tm_one_event_mode'] === 'T',
    isDryRun: row['tm_dry_run'] === 'T',
  };
  const jobs = Math.ceil(task.totalEvents / task.eventsPerJob);
  if (jobs > MAX_JOBS) throw refused(`it has ${jobs} jobs, and a task has at most ${MAX_JOBS}`);
  return task;
}

interface Columns {
  text(name: string, pattern: RegExp): string;
  /** Given as a number, or as digits in a text. */
  number(name: string, least: number, most: number): number;
  flag(name: string): boolean;
}

function columnsOf(row: Readonly<Record<string, unknown>>): Columns {
  return {
    text(name, pattern) {
      const value = row[name];
      if (typeof value !== 'string' || !pattern.test(value))
        throw refused(`${name} is missing or not usable`);
      return value;
    },
    number(name, least, most) {
      const value = row[name];
      const number = typeof value === 'string' && /^[0-9.]{1,20}$/.test(value) ? Number(value) : value;
      if (typeof number !== 'number' || !(number >= least && number <= most))
        throw refused(`${name} is no number from ${least} to ${most}`);
      return number;
    },
    flag(name) {
      const value = row[name];
      if (value === 'T' || value === true || value === 1) return true;
      if (value === 'F' || value === false || value === 0) return false;
      throw refused(`${name} is neither T nor F`);
    },
  };
}

function readOutputs(row: Readonly<Record<string, unknown>>): readonly CrabOutput[] {
  const outputs = [
    ...namesOf(row, 'tm_edm_outfiles').map((name) => ({ name, kind: 'EDM' }) as const),
    ...namesOf(row, 'tm_tfile_outfiles').map((name) => ({ name, kind: 'TFILE' }) as const),
    ...namesOf(row, 'tm_outfiles').map((name) => ({ name, kind: 'FAKE' }) as const),
  ];
  if (outputs.length > MAX_OUTPUTS)
    throw refused(`it names ${outputs.length} output files, and ${MAX_OUTPUTS} are taken`);
  if (new Set(outputs.map(({ name }) => name.toLowerCase())).size !== outputs.length)
    throw refused('it names an output file twice');
  return outputs;
}

function namesOf(row: Readonly<Record<string, unknown>>, column: string): readonly string[] {
  const names = row[column] ?? [];
  if (!Array.isArray(names)) throw refused(`${column} is no list`);
  const all: readonly unknown[] = names;
  return all.map((name) => {
    if (typeof name !== 'string' || !FILE.test(name))
      throw refused(`${column} has a name that is none of a file`);
    return name;
  });
}

function readArguments(value: unknown): readonly string[] {
  if (isUnset(value)) return [];
  if (!Array.isArray(value) || value.length > MAX_ARGUMENTS)
    throw refused(`tm_scriptargs is no list of at most ${MAX_ARGUMENTS}`);
  const all: readonly unknown[] = value;
  return all.map((argument) => {
    if (typeof argument !== 'string' || !/^[ -~]{0,256}$/.test(argument))
      throw refused('tm_scriptargs has an argument that is no short line of ASCII');
    return argument;
  });
}

function hashOf(dn: string, group: unknown, role: unknown): string {
  const parts = [dn, group, role].filter((part): part is string => typeof part === 'string' && part !== '');
  return createHash('sha1').update(parts.join(',')).digest('hex');
}

function isUnset(value: unknown): boolean {
  return value === null || value === undefined || value === '' || value === 0;
}

function refused(why: string): CoPilotError {
  return new CoPilotError('INVALID_REQUEST', why);
}
