import { hash } from 'node:crypto';
import type { NewJob } from '../../../protocol/generated/types.ts';
import { jobIdOf } from '../kit/job-id.ts';
import type { StoredInput } from '../kit/input-store.ts';
import type { CrabTask } from './crab-task.ts';
import type { Bounds } from './exit-policy.ts';
import { MAX_REPORT_BYTES } from './job-report.ts';
import { logName, numbered } from './lfn.ts';
import { inputArguments, jobsOf } from './split.ts';

export const REPORT_FILE = 'jobReport.json';
/** What the wrapper's shell answered, in digits. */
export const STATUS_FILE = 'wrapper-status.txt';
export const MAX_STATUS_BYTES = 16;

/** What every job of this adapter is made with. */
export interface JobTerms {
  /** Of the CRAB server; part of the jobs' ids. */
  readonly url: string;
  readonly site: string;
  /** Name of the site as CMS knows it, in job ads and as the place of outputs. */
  readonly cmsSite: string;
  readonly driver: StoredInput;
  readonly wrapper: StoredInput;
  /** Beside what the task itself needs. */
  readonly requirements: string;
  readonly diskMiB: number;
  /** How often one try is run again by the broker where it left no report. */
  readonly retries: number;
}

/** One try of one job of a task. */
export interface TaskJob {
  readonly task: CrabTask;
  readonly number: number;
  /** Tries before it. */
  readonly retry: number;
  readonly bounds: Bounds;
  readonly sandbox: StoredInput;
}

/** What comes back with every call about a job. */
export interface JobState {
  readonly task: string;
  readonly number: number;
  readonly retry: number;
}

export function idOf(url: string, { task, number, retry }: JobState): string {
  return jobIdOf('crab', url, task, String(number), String(retry));
}

/** The job that runs one element of `input_args.json` (docs/crab.md has the table). */
export function newJobOf(terms: JobTerms, job: TaskJob): NewJob {
  const { task, number, retry, bounds, sandbox } = job;
  const state: JobState = { task: task.name, number, retry };
  return {
    job: idOf(terms.url, state),
    ref: `${task.name}/${number}`,
    owner: nameOf(task.user),
    site: terms.site,
    campaign: nameOf(task.name),
    priority: Math.max(-1000, Math.min(1000, task.priority)),
    // Whatever left a report is judged by its code, not by the number of times.
    retries: terms.retries,
    description: {
      command: './crab-job.sh',
      arguments: [`--jobId=${number}`, `--oneEventMode=${Number(task.isOneEvent)}`],
      environment: environmentOf(terms, job),
      inputs: [
        { name: 'crab-job.sh', ...terms.driver, executable: true },
        { name: 'CMSRunAnalysis.tar.gz', ...terms.wrapper },
        { name: 'sandbox.tar.gz', ...sandbox },
      ],
      outputs: [
        { name: REPORT_FILE, maxBytes: MAX_REPORT_BYTES },
        { name: STATUS_FILE, maxBytes: MAX_STATUS_BYTES },
        // A job that failed leaves none of them; which ones had to come is judged with its report.
        ...task.outputs.map(({ name }) => ({ name: numbered(name, number), optional: true })),
        ...(task.savesLogs ? [{ name: logName(number), optional: true }] : []),
      ],
      limits: { ...bounds, diskMiB: terms.diskMiB },
      requirements: requirementsOf(terms, task),
    },
    state: JSON.stringify(state),
  };
}

/** Undefined where it is not of our making. */
export function readState(text: string): JobState | undefined {
  try {
    const state = JSON.parse(text) as Partial<JobState> | null;
    if (typeof state?.task !== 'string' || !isCount(state.number) || !isCount(state.retry)) return undefined;
    return { task: state.task, number: state.number, retry: state.retry };
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  amd64: 'X86_64',
  aarch64: 'aarch64',
  ppc64le: 'ppc64le',
};

function requirementsOf({ requirements }: JobTerms, { architecture, cores }: CrabTask): string {
  const arch = ARCHITECTURES[architecture.split('_')[1] ?? ''];
  return [
    ...(arch === undefined ? [] : [`Arch == "${arch}"`]),
    ...(cores > 1 ? [`Cpus >= ${cores}`] : []),
    ...(requirements === '' ? [] : [`(${requirements})`]),
  ].join(' && ');
}

function environmentOf(terms: JobTerms, job: TaskJob): Readonly<Record<string, string>> {
  const { task, number, retry } = job;
  const local = task.outputs.map(({ name }) => `${name}=${numbered(name, number)}`);
  return {
    SCRAM_ARCH: task.architecture,
    CRAB_RUNTIME_TARBALL: 'local',
    CRAB_Id: String(number),
    CRAB_Retry: String(retry),
    CRAB_Reqname: task.name,
    FRONTIER_ID: `CRAB-${task.name}`,
    COPILOT_INPUT_ARGS: JSON.stringify([inputArguments(task, number)]),
    COPILOT_JOB_AD: jobAd(terms, job, local),
    COPILOT_OUTPUT_FILES: local.join(' '),
    COPILOT_LOG_FILE: task.savesLogs ? logName(number) : '',
  };
}

/**
 * The ad that the wrapper reads as it does on the grid. Who the user is, his groups, his address and where his files go are not in it: a
 * volunteer has no business with them.
 */
function jobAd(
  { cmsSite }: JobTerms,
  { task, number, retry, bounds }: TaskJob,
  local: readonly string[],
): string {
  const texts: Readonly<Record<string, string>> = {
    CRAB_Reqname: task.name,
    CRAB_Workflow: task.name,
    CMS_JobType: 'Analysis',
    CRAB_JobSW: task.software,
    CRAB_JobArch: task.architecture,
    CRAB_PostJobStatus: 'NOT RUN',
    CRAB_PublishName: task.publishName,
    CRAB_PrimaryDataset: task.primaryDataset,
    CRAB_SplitAlgo: 'EventBased',
    CRAB_DAGType: 'Job',
    CRAB_localOutputFiles: local.join(', '),
    JOB_CMSSite: cmsSite,
    JOBGLIDEIN_CMSSite: cmsSite,
    DESIRED_Sites: cmsSite,
  };
  const numbers: Readonly<Record<string, number>> = {
    CRAB_Id: number,
    CRAB_Retry: retry,
    CRAB_JobCount: jobsOf(task),
    CRAB_SaveLogsFlag: Number(task.savesLogs),
    CRAB_TransferOutputs: Number(task.transfersOutputs),
    CRAB_oneEventMode: Number(task.isOneEvent),
    CRAB_RequestedMemory: bounds.memoryMiB,
    CRAB_RequestedCores: task.cores,
    MaxWallTimeMins: Math.ceil(bounds.wallSeconds / 60),
  };
  // Every value was checked against a pattern without quotes, backslashes and line ends.
  const lines = [
    ...Object.entries(texts).map(([name, value]) => `${name} = "${value}"`),
    ...Object.entries(numbers).map(([name, value]) => `${name} = ${value}`),
  ];
  return `${lines.join('\n')}\n`;
}

const NAME_CHARACTERS = 64;
const HASH_CHARACTERS = 8;

/** A name of the broker's for one of CRAB's; another name gives another, cut and changed letters among it. */
export function nameOf(text: string): string {
  const plain = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]/g, '-')
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
  if (plain === text && plain.length <= NAME_CHARACTERS) return plain;
  const digest = hash('sha256', text).slice(0, HASH_CHARACTERS);
  const kept = plain.slice(0, NAME_CHARACTERS - HASH_CHARACTERS - 1).replaceAll(/[^a-z0-9]+$/g, '');
  return kept === '' ? digest : `${kept}-${digest}`;
}
