import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { CeilingFile } from '../kit/ceiling.ts';
import type { RefusedJobs } from '../kit/refused-jobs.ts';
import type { Claims } from './claims.ts';
import type { CrabOptions } from './crab-options.ts';
import { type CrabRest, isMissing } from './crab-rest.ts';
import { type CrabTask, readHead, readTask, type TaskHead } from './crab-task.ts';
import type { Bounds } from './exit-policy.ts';
import { type JobTerms, newJobOf } from './job-description.ts';
import { isObject } from './rest-answer.ts';
import { jobsOf } from './split.ts';
import type { Sandboxes } from './sandbox-fetch.ts';
import type { StoredJob } from './stored-job.ts';
import type { TaskStore } from './task-store.ts';

/** What is done with a task that this worker holds. */
export interface TaskHandlers {
  /** Why the command is not taken at all, or undefined. */
  refusal(head: TaskHead): string | undefined;
  /**
   * Carries out the row's command, to its end at the server. Rejects with `INVALID_REQUEST` for what never works, with other codes where
   * another try may do; every step may be done again.
   */
  carryOut(row: unknown): Promise<void>;
  /** Says at the server that the command failed for good. */
  giveUp(head: TaskHead, why: string): Promise<void>;
  /** A task that the server knows as submitted by us and we do not: its jobs without a result begin anew. */
  recover(row: unknown): Promise<void>;
}

export interface TaskHandlerOptions {
  readonly claims: Claims;
  readonly rest: CrabRest;
  readonly store: TaskStore;
  readonly sandboxes: Sandboxes;
  readonly options: CrabOptions;
  /** Rejects while what every job needs is not in the Data Bridge. */
  readonly terms: () => Promise<JobTerms>;
  readonly ceiling: CeilingFile;
  readonly refused: RefusedJobs;
  readonly statusUrl: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly onJobs: () => void;
  readonly onKilled: (jobs: readonly StoredJob[]) => void;
}

const FAILURES = {
  SUBMIT: 'SUBMITFAILED',
  KILL: 'KILLFAILED',
  RESUBMIT: 'RESUBMITFAILED',
  OTHER: 'SUBMITFAILED',
} as const;

/** How long CRAB lets a task live. */
export const TASK_LIFE_SECONDS = 30 * 86_400;

export function createTaskHandlers(parts: TaskHandlerOptions): TaskHandlers {
  const { claims, rest, store, sandboxes, options, ceiling, statusUrl, clock, log } = parts;
  const nowSeconds = (): number => Math.floor(clock.wallMs() / 1000);

  async function submit(row: unknown): Promise<void> {
    const task = readTask(row);
    requireLife(task, nowSeconds());
    if (store.task(task.name) === undefined) {
      const bounds = boundsOf(task);
      const sandbox = await sandboxes.bring(task);
      const job = { task, number: jobsOf(task), retry: 0, bounds, sandbox };
      const fault = ceiling.fault(newJobOf(await parts.terms(), job));
      if (fault !== undefined) throw new CoPilotError('INVALID_REQUEST', fault);
      if (task.isDryRun) return claims.state(task.name, 'SUBMIT', 'UPLOADED');
      store.insert(task, sandbox, bounds);
      await store.settled();
    }
    await publish(task.name);
    log.info({ task: task.name, jobs: store.jobs(task.name).length }, 'task submitted');
    parts.onJobs();
  }

  /** After this the task's user sees it as submitted, and its jobs are handed over. */
  async function publish(name: string): Promise<void> {
    await claims.schedd(name, options.schedd);
    await claims.webdir(name, `${statusUrl}/${name}`);
    await claims.success(name, store.task(name)?.cluster ?? 0);
    store.activate(name);
    await store.settled();
  }

  async function kill({ name, user }: TaskHead): Promise<void> {
    parts.onKilled(store.kill(name, 'killed by its user'));
    await store.settled();
    // Of files that are being moved already, those that nobody has begun with.
    await rest
      .post('fileusertransfers', { subresource: 'killTransfers', publish: 0, username: user, taskname: name })
      .catch((caught: unknown) => {
        if (!isMissing(caught)) throw caught;
      });
    await claims.state(name, 'KILL', 'KILLED');
    log.info({ task: name }, 'task killed');
  }

  async function resubmit(row: unknown, { name }: TaskHead): Promise<void> {
    const asked = readResubmission(row);
    const found = store.task(name);
    if (found === undefined)
      throw new CoPilotError('INVALID_REQUEST', 'this worker knows no jobs of the task');
    requireLife(found.task, nowSeconds());
    const again = store
      .jobs(name)
      .filter(({ state }) => state === 'failed' || state === 'killed')
      .filter(({ number }) => asked.numbers?.has(number) ?? true);
    for (const job of again) {
      const wallSeconds = asked.maxMinutes === undefined ? job.bounds.wallSeconds : asked.maxMinutes * 60;
      const bounds = { wallSeconds, memoryMiB: asked.memoryMiB ?? job.bounds.memoryMiB };
      store.again(job, { bounds, dueMs: 0, state: 'unsubmitted' });
    }
    await store.settled();
    await claims.state(name, 'RESUBMIT', 'SUBMITTED');
    log.info({ task: name, jobs: again.length }, 'task resubmitted');
    parts.onJobs();
  }

  function requireOurs({ name, schedd, command }: TaskHead): void {
    if (store.task(name) === undefined && schedd !== '')
      throw new CoPilotError(
        'INVALID_REQUEST',
        `${command} of a task whose jobs are with ${schedd}, not here`,
      );
  }

  return {
    refusal: ({ user, command }) =>
      command === 'SUBMIT' && options.bannedUsers.includes(user)
        ? `the user ${user} is banned at this worker`
        : undefined,
    async carryOut(row) {
      const head = readHead(row);
      if (head === undefined) throw new CoPilotError('INVALID_REQUEST', 'a task without a usable name');
      if (head.command !== 'SUBMIT') requireOurs(head);
      switch (head.command) {
        case 'SUBMIT':
          return submit(row);
        case 'KILL':
          return kill(head);
        case 'RESUBMIT':
          return resubmit(row, head);
        case 'OTHER':
          throw new CoPilotError('INVALID_REQUEST', 'a command that this worker does not know');
      }
    },
    giveUp({ name, command }, why) {
      if (command === 'SUBMIT') parts.refused.note({ job: '', ref: name, reason: why });
      return claims.failure(name, FAILURES[command], why);
    },
    async recover(row) {
      const head = readHead(row);
      if (head === undefined || head.schedd !== options.schedd || store.task(head.name) !== undefined) return;
      const task = readTask(row);
      if (task.startedSeconds + TASK_LIFE_SECONDS < nowSeconds()) return;
      store.insert(task, await sandboxes.bring(task), boundsOf(task));
      const files = await rest.get('filemetadata', { taskname: task.name });
      const done = new Set(files.map(jobOfFile));
      for (const job of store.jobs(task.name))
        if (done.has(job.number)) store.change(job.id, { state: 'finished', isAccepted: true });
      store.activate(task.name);
      await store.settled();
      log.warn(
        { task: task.name, finished: done.size },
        'a task was taken up again from what CRAB knows of it',
      );
      parts.onJobs();
    },
  };
}

function boundsOf({ maxMinutes, memoryMiB }: CrabTask): Bounds {
  return { wallSeconds: Math.round(maxMinutes * 60), memoryMiB };
}

function requireLife({ startedSeconds }: CrabTask, nowSeconds: number): void {
  if (startedSeconds + TASK_LIFE_SECONDS < nowSeconds)
    throw new CoPilotError('INVALID_REQUEST', 'the task is over 30 days old');
}

interface Resubmission {
  /** Undefined where all that failed are meant. */
  readonly numbers: ReadonlySet<number> | undefined;
  readonly maxMinutes: number | undefined;
  readonly memoryMiB: number | undefined;
}

function readResubmission(row: unknown): Resubmission {
  const asked = isObject(row) ? row : {};
  const ids = asked['resubmit_jobids'];
  return {
    numbers: Array.isArray(ids) ? new Set(ids.map(Number)) : undefined,
    maxMinutes: numberIn(asked['resubmit_maxjobruntime'], 1, 21.5 * 60),
    memoryMiB: numberIn(asked['resubmit_maxmemory'], 16, 1_048_576),
  };
}

function numberIn(value: unknown, least: number, most: number): number | undefined {
  return typeof value === 'number' && value >= least && value <= most ? Math.ceil(value) : undefined;
}

/** Each row is a text of JSON of its own. */
function jobOfFile(row: unknown): number {
  try {
    const file: unknown = typeof row === 'string' ? JSON.parse(row) : row;
    return isObject(file) ? Number(file['jobid']) : Number.NaN;
  } catch {
    return Number.NaN;
  }
}
