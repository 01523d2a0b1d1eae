import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { syncDirectory } from '../../../protocol/runtime/durable-file.ts';
import type { StoredInput } from '../kit/input-store.ts';
import { sharedRun } from '../kit/shared-run.ts';
import type { CrabTask } from './crab-task.ts';
import type { Bounds } from './exit-policy.ts';
import { idOf } from './job-description.ts';
import { jobsOf } from './split.ts';
import {
  isEnded,
  jobOf,
  type NodeState,
  number,
  type Row,
  type StoredJob,
  type StoredTask,
  taskOf,
  text,
} from './stored-job.ts';
import { openTaskDatabase } from './task-database.ts';
import { createWriteTurns } from './write-turns.ts';

/** What may change of a try. */
export interface JobChange {
  readonly state?: NodeState;
  readonly isAccepted?: boolean;
  /** Whether the broker is still to be told that nobody wants it. */
  readonly isUnwanted?: boolean;
  readonly attempt?: number;
  readonly toldSeconds?: number;
  readonly events?: number;
  readonly submitSeconds?: number;
  readonly startSeconds?: number;
  readonly endSeconds?: number;
  readonly restarts?: number;
  readonly code?: number;
  readonly message?: string;
}

export interface TaskStore {
  task(name: string): StoredTask | undefined;
  tasks(): readonly StoredTask[];
  /** Keeps the task and a first try of each of its jobs, all or nothing; one that is there stays as it is. */
  insert(task: CrabTask, sandbox: StoredInput, bounds: Bounds): void;
  activate(name: string): void;
  /** Forgets tasks that began before then. */
  prune(beforeSeconds: number): void;
  job(id: string): StoredJob | undefined;
  /** Current tries of a task, by number. */
  jobs(task: string): readonly StoredJob[];
  /** Tries that may be handed over: of the highest priority, the jobs of all tasks in turn by their number. */
  due(most: number, nowMs: number): readonly StoredJob[];
  /** Of them; at most `MAX_COUNTED`. */
  waiting(nowMs: number): number;
  /** Tries that the broker has and that have not ended. */
  withBroker(): number;
  /** Tasks with a job that has not come to its end. */
  unfinishedTasks(): number;
  /** Names of those of them that began before then. */
  old(beforeSeconds: number): readonly string[];
  change(id: string, change: JobChange): void;
  /** They were handed over: until they are accepted they are handed over again. */
  hand(ids: readonly string[]): void;
  accept(ids: readonly string[], nowSeconds: number): void;
  /** Ends the try as failed, and begins `next` with it or not at all. */
  fail(job: StoredJob, change: JobChange, next?: NextTry): void;
  /** A further try of a job that has ended, which then is the current one. */
  again(job: StoredJob, next: NextTry): void;
  /** Ends all tries that have not ended; answers those the broker may know of. */
  kill(task: string, message: string): readonly StoredJob[];
  unwanted(most: number): readonly StoredJob[];
  /** Names of tasks with jobs whose files are being moved. */
  moving(): readonly string[];
  /** Resolves once all that was written before survives a power cut; calls that come together share one sync. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export interface NextTry {
  readonly bounds: Bounds;
  /** Not before this wall time. */
  readonly dueMs: number;
  readonly state: 'unsubmitted' | 'cooloff';
}

export interface TaskStoreOptions {
  readonly path: string;
  /** Of the CRAB server: part of the jobs' ids. */
  readonly url: string;
}

/** Whoever is told a number of waiting jobs wants to know whether there are many. */
const MAX_COUNTED = 1000;
const MAX_READ = 256;
/** Of tries that nobody has accepted: those that were never handed over, and those that were. */
const WAITING = `('unsubmitted', 'cooloff', 'idle')`;
const UNFINISHED = `is_current = 1 AND state NOT IN ('finished', 'failed', 'killed')`;
const ENDED = `('finished', 'failed', 'killed', 'transferring')`;

/**
 * What a scheduler keeps of its tasks on the grid, in one file of SQLite. What is written is there for every later call at once; the end
 * of the process takes what was written in its last turn, or while others were settled, and a power cut what was not settled. Rejects with one of the `QUEUE_…` codes.
 */
export async function openTaskStore({ path, url }: TaskStoreOptions): Promise<TaskStore> {
  const database = openTaskDatabase(path);
  // SQLite syncs nothing here: a sync of its log, by whom and when it is wanted, keeps nobody else from running.
  const log = await open(`${path}-wal`, 'r+');
  await syncDirectory(dirname(path));
  const turns = createWriteTurns(database, () => log.datasync());
  const settled = sharedRun(() => turns.settle());
  /** Tasks that were read before, by name. */
  const read = new Map<string, StoredTask>();
  const statements = new Map<string, StatementSync>();
  const prepared = (sql: string): StatementSync => {
    const statement = statements.get(sql) ?? database.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
  const one = (sql: string, ...values: SQLInputValue[]): Row | undefined => prepared(sql).get(...values);
  const all = (sql: string, ...values: SQLInputValue[]): readonly Row[] => prepared(sql).all(...values);
  const run = (sql: string, ...values: SQLInputValue[]): void => {
    turns.begin();
    prepared(sql).run(...values);
  };
  const atomically = (action: () => void): void => {
    turns.begin();
    database.exec('SAVEPOINT one');
    try {
      action();
    } catch (caught) {
      database.exec('ROLLBACK TO one');
      throw caught;
    } finally {
      database.exec('RELEASE one');
    }
  };
  const jobSql = 'SELECT job.*, task.name AS task_name FROM job JOIN task ON task.id = job.task';
  const clusterOf = (task: string): number =>
    number(one('SELECT id FROM task WHERE name = ?', task) ?? {}, 'id');
  const insertJob = (
    cluster: number,
    task: CrabTask,
    place: Place,
    bounds: Bounds,
    state: NodeState,
    dueMs: number,
  ): void =>
    run(
      `INSERT INTO job (id, task, number, retry, priority, state, due_ms, wall_s, memory_mib) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      idOf(url, { task: task.name, ...place }),
      cluster,
      place.number,
      place.retry,
      task.priority,
      state,
      dueMs,
      bounds.wallSeconds,
      bounds.memoryMiB,
    );
  const begin = (job: StoredJob, { bounds, dueMs, state }: NextTry): void => {
    const found = store.task(job.task);
    if (found === undefined) return;
    run('UPDATE job SET is_current = 0 WHERE id = ?', job.id);
    insertJob(found.cluster, found.task, { number: job.number, retry: job.retry + 1 }, bounds, state, dueMs);
  };

  const store: TaskStore = {
    task(name) {
      const known = read.get(name) ?? taskOf(one('SELECT * FROM task WHERE name = ?', name));
      if (read.size >= MAX_READ) read.clear();
      if (known !== undefined) read.set(name, known);
      return known;
    },
    tasks: () => all('SELECT * FROM task ORDER BY id').flatMap((row) => taskOf(row) ?? []),
    insert(task, sandbox, bounds) {
      if (store.task(task.name) !== undefined) return;
      atomically(() => {
        run(
          'INSERT INTO task (name, task, sandbox_sha256, sandbox_size, started_s) VALUES (?, ?, ?, ?, ?)',
          task.name,
          JSON.stringify(task),
          sandbox.sha256,
          sandbox.size,
          Math.floor(task.startedSeconds),
        );
        const cluster = clusterOf(task.name);
        for (let at = 1; at <= jobsOf(task); at++)
          insertJob(cluster, task, { number: at, retry: 0 }, bounds, 'unsubmitted', 0);
      });
    },
    activate(name) {
      run('UPDATE task SET is_active = 1 WHERE name = ?', name);
      read.delete(name);
    },
    prune(beforeSeconds) {
      run('DELETE FROM task WHERE started_s < ?', beforeSeconds);
      read.clear();
    },
    job: (id) => jobOf(one(`${jobSql} WHERE job.id = ?`, id)),
    jobs: (task) =>
      all(`${jobSql} WHERE task.name = ? AND is_current = 1 ORDER BY number`, task).flatMap(
        (row) => jobOf(row) ?? [],
      ),
    due: (most, nowMs) =>
      all(
        `${jobSql} WHERE is_accepted = 0 AND job.state IN ${WAITING} AND due_ms <= ? AND is_active = 1
           ORDER BY priority DESC, number, job.task LIMIT ?`,
        nowMs,
        most,
      ).flatMap((row) => jobOf(row) ?? []),
    waiting: (nowMs) =>
      number(
        one(
          `SELECT count(*) AS count FROM (SELECT 1 FROM job JOIN task ON task.id = job.task
             WHERE is_accepted = 0 AND job.state IN ${WAITING} AND due_ms <= ? AND is_active = 1 LIMIT ?)`,
          nowMs,
          MAX_COUNTED,
        ) ?? {},
        'count',
      ),
    change(id, change) {
      const entries = Object.entries(change).map(
        ([key, value]) => [COLUMNS[key] ?? key, plain(value)] as const,
      );
      const columns = entries.map(([column]) => `${column} = ?`).join(', ');
      run(`UPDATE job SET ${columns} WHERE id = ?`, ...entries.map(([, value]) => value), id);
    },
    hand(ids) {
      atomically(() => {
        for (const id of ids)
          run(`UPDATE job SET state = 'idle' WHERE id = ? AND state IN ('unsubmitted', 'cooloff')`, id);
      });
    },
    accept(ids, nowSeconds) {
      if (ids.length === 0) return;
      atomically(() => {
        for (const id of ids)
          run(
            `UPDATE job SET is_accepted = 1, submit_s = ?, is_unwanted = state = 'killed',
                 state = CASE WHEN state IN ('unsubmitted', 'cooloff') THEN 'idle' ELSE state END
               WHERE id = ? AND is_accepted = 0`,
            nowSeconds,
            id,
          );
      });
    },
    fail(job, change, next) {
      atomically(() => {
        store.change(job.id, { ...change, state: 'failed' });
        if (next !== undefined) begin(job, next);
      });
    },
    again(job, next) {
      atomically(() => begin(job, next));
    },
    kill(task, message) {
      const ended = store.jobs(task).filter(({ state }) => !isEnded(state));
      run(
        `UPDATE job SET state = 'killed', is_unwanted = is_accepted, message = ?
           WHERE task = ? AND is_current = 1 AND state NOT IN ${ENDED}`,
        message,
        clusterOf(task),
      );
      return ended;
    },
    unwanted: (most) =>
      all(`${jobSql} WHERE is_unwanted = 1 ORDER BY job.id LIMIT ?`, most).flatMap((row) => jobOf(row) ?? []),
    moving: () =>
      all(
        `SELECT DISTINCT task.name AS name FROM job JOIN task ON task.id = job.task WHERE job.state = 'transferring'`,
      ).map((row) => text(row, 'name')),
    withBroker: () =>
      number(one(`SELECT count(*) AS count FROM job WHERE state IN ('idle', 'running')`) ?? {}, 'count'),
    unfinishedTasks: () =>
      number(one(`SELECT count(DISTINCT task) AS count FROM job WHERE ${UNFINISHED}`) ?? {}, 'count'),
    old: (beforeSeconds) =>
      all(
        `SELECT name FROM task WHERE started_s < ? AND EXISTS (SELECT 1 FROM job WHERE job.task = task.id AND ${UNFINISHED})`,
        beforeSeconds,
      ).map((row) => text(row, 'name')),
    settled,
    async close() {
      await settled().catch(() => undefined); // Closing writes everything into the file itself.
      await log.close();
      database.close();
    },
  };
  return store;
}

interface Place {
  readonly number: number;
  readonly retry: number;
}

const COLUMNS: Readonly<Record<string, string>> = {
  isAccepted: 'is_accepted',
  isUnwanted: 'is_unwanted',
  toldSeconds: 'told_s',
  submitSeconds: 'submit_s',
  startSeconds: 'start_s',
  endSeconds: 'end_s',
};

function plain(value: unknown): SQLInputValue {
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'number' || typeof value === 'string' ? value : null;
}
