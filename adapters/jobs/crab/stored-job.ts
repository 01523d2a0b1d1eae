import type { SQLOutputValue } from 'node:sqlite';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { StoredInput } from '../kit/input-store.ts';
import type { CrabTask } from './crab-task.ts';
import type { Bounds } from './exit-policy.ts';

/** As users of CRAB know a job's state. */
export type NodeState =
  | 'unsubmitted'
  | 'idle'
  | 'running'
  | 'transferring'
  | 'cooloff'
  | 'finished'
  | 'failed'
  | 'killed';

export interface StoredTask {
  readonly task: CrabTask;
  readonly sandbox: StoredInput;
  /** CRAB knows that it is submitted; before that its jobs are handed to nobody. */
  readonly isActive: boolean;
  /** Number of the task here, and what CRAB keeps as its cluster. */
  readonly cluster: number;
}

/** One try of a job. Of a job's tries the last one is current, and alone changes. */
export interface StoredJob {
  readonly id: string;
  readonly task: string;
  readonly number: number;
  readonly retry: number;
  readonly state: NodeState;
  readonly isCurrent: boolean;
  readonly isAccepted: boolean;
  /** Of the last attempt heard of, and of the result where there is one. */
  readonly attempt: number;
  readonly bounds: Bounds;
  /** When its result was first told to CRAB, Unix time in seconds; 0 before. */
  readonly toldSeconds: number;
  /** Of its result, by its own report; 0 before. */
  readonly events: number;
  readonly submitSeconds: number;
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly restarts: number;
  readonly code: number;
  readonly message: string;
}

/** Whether nothing more is run for it. */
export function isEnded(state: NodeState): boolean {
  return state === 'finished' || state === 'failed' || state === 'killed' || state === 'transferring';
}

/** A row as SQLite gives it; what is read of it throws `QUEUE_CORRUPT` where it is not what was written. */
export type Row = Readonly<Record<string, SQLOutputValue>>;

const STATES: readonly NodeState[] = [
  'unsubmitted',
  'idle',
  'running',
  'transferring',
  'cooloff',
  'finished',
  'failed',
  'killed',
];

export function taskOf(row: Row | undefined): StoredTask | undefined {
  return (
    row && {
      // Of our own writing.
      task: JSON.parse(text(row, 'task')) as CrabTask,
      sandbox: { sha256: text(row, 'sandbox_sha256'), size: number(row, 'sandbox_size') },
      isActive: number(row, 'is_active') === 1,
      cluster: number(row, 'id'),
    }
  );
}

export function jobOf(row: Row | undefined): StoredJob | undefined {
  if (row === undefined) return undefined;
  return {
    id: text(row, 'id'),
    task: text(row, 'task_name'),
    number: number(row, 'number'),
    retry: number(row, 'retry'),
    state: stateOf(row),
    isCurrent: number(row, 'is_current') === 1,
    isAccepted: number(row, 'is_accepted') === 1,
    attempt: number(row, 'attempt'),
    bounds: { wallSeconds: number(row, 'wall_s'), memoryMiB: number(row, 'memory_mib') },
    toldSeconds: number(row, 'told_s'),
    events: number(row, 'events'),
    submitSeconds: number(row, 'submit_s'),
    startSeconds: number(row, 'start_s'),
    endSeconds: number(row, 'end_s'),
    restarts: number(row, 'restarts'),
    code: number(row, 'code'),
    message: text(row, 'message'),
  };
}

function stateOf(row: Row): NodeState {
  const state = STATES.find((known) => known === row['state']);
  if (state === undefined) throw corrupt();
  return state;
}

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw corrupt();
  return value;
}

export function number(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw corrupt();
  return value;
}

function corrupt(): CoPilotError {
  return new CoPilotError('QUEUE_CORRUPT', 'the file of CRAB tasks holds an unexpected value');
}
