import type { StoredJob } from './stored-job.ts';
import type { TaskStore } from './task-store.ts';

/** DAGMan's numbers of a whole DAG: runs, done, failed. */
const DAG = { running: 3, done: 5, failed: 6 } as const;

/** One job in the file, by the keys that clients of CRAB read. */
interface NodeStatus {
  readonly State: string;
  readonly Retries: number;
  readonly Restarts: number;
  readonly SiteHistory: readonly string[];
  readonly ResidentSetSize: readonly number[];
  readonly SubmitTimes: readonly number[];
  readonly StartTimes: readonly number[];
  readonly EndTimes: readonly number[];
  readonly TotalUserCpuTimeHistory: readonly number[];
  readonly TotalSysCpuTimeHistory: readonly number[];
  readonly JobIds: readonly string[];
  readonly Error?: readonly [number, string, Readonly<Record<string, never>>];
}

/** `status_cache.json` of a task, as the scheduler writes it on the grid; undefined where the task is not ours. */
export function statusFile(
  store: TaskStore,
  name: string,
  site: string,
  nowSeconds: number,
): object | undefined {
  const task = store.task(name);
  if (task === undefined) return undefined;
  const jobs = store.jobs(name);
  const dagStatus = dagStatusOf(jobs);
  const nodes = Object.fromEntries(jobs.map((job) => [String(job.number), nodeOf(job, task.cluster, site)]));
  return {
    fjrParseResCheckpoint: 0,
    nodes: {
      DagStatus: {
        SubDagStatus: {},
        SubDags: {},
        Timestamp: nowSeconds,
        NodesTotal: jobs.length,
        DagStatus: dagStatus,
      },
      ...nodes,
    },
    overallDagStatus: WORDS[dagStatus],
  };
}

const WORDS: Readonly<Record<number, string>> = {
  [DAG.running]: 'RUNNING',
  [DAG.done]: 'COMPLETED',
  [DAG.failed]: 'FAILED',
};

/** `fjr_parse_results.txt`: a line for each job that ended, with its code. */
export function reportLines(store: TaskStore, name: string): string | undefined {
  if (store.task(name) === undefined) return undefined;
  return store
    .jobs(name)
    .filter(({ state, code }) => code !== 0 || state === 'transferring' || state === 'finished')
    .map(({ number, retry, code, message }) =>
      JSON.stringify({ [number]: { [retry]: [code, code === 0 ? 'OK' : message, {}] } }),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Each job's name, state, try and code in a line, for people. */
export function nodeLines(store: TaskStore, name: string): string | undefined {
  if (store.task(name) === undefined) return undefined;
  return store
    .jobs(name)
    .map(({ number, state, retry, code, message }) =>
      `Job${number} ${state} ${retry} ${code} ${message}`.trim(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function dagStatusOf(jobs: readonly StoredJob[]): number {
  const isOver = jobs.every(({ state }) => state === 'finished' || state === 'failed' || state === 'killed');
  if (!isOver) return DAG.running;
  return jobs.every(({ state }) => state === 'finished') ? DAG.done : DAG.failed;
}

function nodeOf(job: StoredJob, cluster: number, site: string): NodeStatus {
  const times = (seconds: number): readonly number[] => (seconds === 0 ? [] : [seconds]);
  const hasBegun = job.startSeconds !== 0;
  return {
    State: job.state,
    Retries: job.retry,
    Restarts: job.restarts,
    SiteHistory: hasBegun ? [site] : [],
    ResidentSetSize: hasBegun ? [0] : [],
    SubmitTimes: times(job.submitSeconds),
    StartTimes: times(job.startSeconds),
    EndTimes: times(job.endSeconds),
    TotalUserCpuTimeHistory: hasBegun ? [0] : [],
    TotalSysCpuTimeHistory: hasBegun ? [0] : [],
    JobIds: job.submitSeconds === 0 ? [] : [`${cluster}.${job.number}`],
    ...(job.code !== 0 && { Error: [job.code, job.message, {}] as const }),
  };
}
