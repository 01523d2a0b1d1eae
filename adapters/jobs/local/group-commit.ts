import type { DatabaseSync } from 'node:sqlite';
import { CoPilotError } from '../../../protocol/errors.ts';
import { queueFault } from './queue-fault.ts';

/** Most actions that wait for a sync at once; more are refused with `QUEUE_UNAVAILABLE`. */
const MAX_WAITING_ACTIONS = 10_000;

/** Runs actions on the database so that all of one turn of the event loop share one transaction and one sync. */
export interface GroupCommit {
  /**
   * The action's result once it is durable. What the action throws undoes that action alone; a fault of the disk undoes the
   * whole group and rejects all of it.
   */
  run<T>(action: () => T): Promise<T>;
  /** Commits what waits; later actions are refused. */
  close(): void;
}

interface Waiting {
  /** Runs the action; answers how to settle its promise after the commit. */
  readonly act: () => () => void;
  readonly reject: (reason: unknown) => void;
}

/** `ended` is told after each group whether it became durable or left no trace. */
export function createGroupCommit(
  database: DatabaseSync,
  path: string,
  ended: (durable: boolean) => void,
): GroupCommit {
  let waiting: Waiting[] = [];
  let closed = false;

  const flush = (): void => {
    const group = waiting;
    waiting = [];
    if (group.length === 0) return;
    const settle = commitGroup(database, path, group);
    ended(settle !== undefined);
    for (const one of settle ?? []) one();
  };

  return {
    run<T>(action: () => T): Promise<T> {
      if (closed) return Promise.reject(new CoPilotError('QUEUE_UNAVAILABLE', 'the local queue is closed'));
      if (waiting.length >= MAX_WAITING_ACTIONS) {
        return Promise.reject(new CoPilotError('QUEUE_UNAVAILABLE', 'the local queue is busy; try again'));
      }
      return new Promise<T>((resolve, reject) => {
        waiting.push({ act: () => attempt(database, action, resolve, reject), reject });
        if (waiting.length === 1) setImmediate(flush);
      });
    },
    close() {
      closed = true;
      flush();
    },
  };
}

/** Undefined where nothing of the group happened; everybody has been told then. */
function commitGroup(
  database: DatabaseSync,
  path: string,
  group: readonly Waiting[],
): readonly (() => void)[] | undefined {
  try {
    database.exec('BEGIN IMMEDIATE');
    const settle = group.map((one) => one.act());
    database.exec('COMMIT');
    return settle;
  } catch (caught) {
    if (database.isTransaction) database.exec('ROLLBACK');
    const reason = queueFault(caught, path);
    for (const one of group) one.reject(reason);
    return undefined;
  }
}

function attempt<T>(
  database: DatabaseSync,
  action: () => T,
  resolve: (value: T) => void,
  reject: (reason: unknown) => void,
): () => void {
  database.exec('SAVEPOINT action');
  try {
    const value = action();
    database.exec('RELEASE action');
    return () => resolve(value);
  } catch (caught) {
    // Only a refusal is this action's own; a fault of the database ends the group.
    if (!(caught instanceof CoPilotError)) throw caught;
    database.exec('ROLLBACK TO action; RELEASE action');
    return () => reject(caught);
  }
}
