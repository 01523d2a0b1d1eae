import { toCoPilotError } from '../../../protocol/errors.ts';
import type { Cancel, Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { Claims } from './claims.ts';
import { readHead, type TaskHead } from './crab-task.ts';
import { TASK_LIFE_SECONDS, type TaskHandlers } from './task-handlers.ts';
import type { StoredJob } from './stored-job.ts';
import type { TaskStore } from './task-store.ts';

/** The loop of a TaskWorker: claims tasks, carries out their commands, one at a time. */
export interface TaskWorker {
  /** One turn of the loop, now; what the server refuses or does not answer is tried in a later one. Never rejects. */
  turn(): Promise<void>;
  /** Whether a turn is under way. */
  readonly isBusy: boolean;
  /** Turns every so often, until stopped. */
  start(): void;
  /** Resolves when the turn under way has ended. */
  stop(): Promise<void>;
}

export interface TaskWorkerOptions {
  readonly claims: Claims;
  readonly handlers: TaskHandlers;
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly pollMs: number;
  readonly maxTasks: number;
  readonly onKilled: (jobs: readonly StoredJob[]) => void;
}

/** As the stock worker tries an action that failed for a reason which may pass. */
const TRIES = 5;
const PAUSE_MS = 60_000;
/** Tasks whose command is tried again later. */
const MAX_HELD = 1000;
/** Longer than any task lives and its files are moved. */
const KEPT_SECONDS = 60 * 86_400;

interface Held {
  readonly row: unknown;
  readonly head: TaskHead;
  /** The server has answered that nobody else takes it up. */
  isQueued: boolean;
  tries: number;
  dueMs: number;
}

export function createTaskWorker(options: TaskWorkerOptions): TaskWorker {
  const { claims, handlers, store, clock, log, pollMs, maxTasks } = options;
  const held = new Map<string, Held>();
  let isBegun = false;
  let isStopped = false;
  let cancel: Cancel = () => undefined;
  let running: Promise<void> | undefined;

  /** What an earlier life of this worker left half done: nobody else will take it up. */
  async function begin(): Promise<void> {
    for (const row of await claims.held('QUEUED')) {
      const head = readHead(row);
      if (head !== undefined && !held.has(head.name)) await claims.state(head.name, head.command, 'NEW');
    }
    for (const row of await claims.held('SUBMITTED'))
      await handlers.recover(row).catch((caught: unknown) => {
        log.error(
          { reason: toCoPilotError(caught).message },
          'a task that was submitted cannot be taken up again',
        );
      });
    store.prune(Math.floor(clock.wallMs() / 1000) - KEPT_SECONDS);
    isBegun = true;
  }

  async function claim(): Promise<void> {
    const free = Math.max(0, maxTasks - store.unfinishedTasks() - held.size);
    const rows = new Map<string, unknown>();
    // Of a task that is named twice the first counts.
    for (const row of await claims.take(free)) {
      const head = readHead(row);
      if (head === undefined) log.warn({}, 'the CRAB server names a task that has no usable name');
      else if (!rows.has(head.name) && held.size < MAX_HELD) {
        rows.set(head.name, row);
        const why = handlers.refusal(head);
        if (why !== undefined) {
          await claims.failure(head.name, 'SUBMITREFUSED', why);
          continue;
        }
        if (held.get(head.name)?.head.command !== head.command)
          held.set(head.name, { row, head, isQueued: false, tries: 0, dueMs: 0 });
      }
    }
  }

  async function carryOut(task: Held): Promise<void> {
    if (!task.isQueued) await claims.state(task.head.name, task.head.command, 'QUEUED');
    task.isQueued = true;
    try {
      await handlers.carryOut(task.row);
      held.delete(task.head.name);
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      task.tries++;
      task.dueMs = clock.monotonicMs() + PAUSE_MS * task.tries;
      log.warn(
        { task: task.head.name, code, reason: message, tries: task.tries },
        'a task was not carried out',
      );
      if (code !== 'INVALID_REQUEST' && task.tries < TRIES) return;
      await handlers.giveUp(task.head, message);
      held.delete(task.head.name);
    }
  }

  async function whole(): Promise<void> {
    try {
      if (!isBegun) await begin();
      await claim();
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      log.warn({ code, reason: message }, 'the CRAB server does not answer as it should');
    }
    for (const task of held.values()) {
      if (isStopped) return;
      if (task.dueMs > clock.monotonicMs()) continue;
      await carryOut(task).catch((caught: unknown) => {
        log.warn(
          { task: task.head.name, reason: toCoPilotError(caught).message },
          'a task waits for the CRAB server',
        );
      });
    }
    endOld();
  }

  function endOld(): void {
    for (const name of store.old(Math.floor(clock.wallMs() / 1000) - TASK_LIFE_SECONDS)) {
      const killed = store.kill(name, 'the task is over 30 days old');
      if (killed.length > 0) options.onKilled(killed);
    }
  }

  const turn = (): Promise<void> => {
    running ??= whole().finally(() => {
      running = undefined;
    });
    return running;
  };
  const loop = (delayMs: number): void => {
    cancel = clock.schedule(delayMs, () => {
      void turn().then(() => {
        if (!isStopped) loop(pollMs);
      });
    });
  };
  return {
    turn,
    get isBusy() {
      return running !== undefined;
    },
    start: () => loop(0),
    async stop() {
      isStopped = true;
      cancel();
      await running;
    },
  };
}
