import { CoPilotError } from '../../protocol/errors.ts';
import type { Command, Outcome } from '../core/command.ts';

/** Commands that share one transaction, unless a single call brings more. */
export const MAX_GROUP = 256;
/** Commands waiting for their group; beyond this `apply` rejects with `LEDGER_UNAVAILABLE` (busy) at once. */
export const MAX_QUEUED = 10_000;

const MAX_RUNNING = 2;

/** Makes one group durable, or rejects with nothing done. */
export type RunGroup = (commands: readonly Command[]) => Promise<readonly Outcome[]>;

/** Collects commands while a group is under way; groups in order, calls never split. */
export interface GroupQueue {
  apply(commands: readonly Command[]): Promise<readonly Outcome[]>;
  /** Resolves once nothing is queued and nothing under way. */
  drained(): Promise<void>;
  /** Rejects everything queued and everything to come. */
  fail(error: CoPilotError): void;
}

interface Call {
  readonly commands: readonly Command[];
  readonly resolve: (outcomes: readonly Outcome[]) => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupQueueOptions {
  /**
   * Resolves once everybody who had something to say in this turn of the loop has said it: those calls share the first group, for
   * a group of one would make all others wait for its sync. By default the calls made before the next microtask.
   */
  readonly turn?: () => Promise<unknown>;
  /**
   * So many commands are worth a sync, and wait neither for the end of their turn nor for the group under way: a second one then goes
   * to `run`, which must take groups in order, and the disk is not idle while a long turn goes on. Without it groups go one by one.
   */
  readonly enough?: number;
}

export function createGroupQueue(run: RunGroup, options: GroupQueueOptions = {}): GroupQueue {
  const { turn = () => Promise.resolve(), enough = Number.POSITIVE_INFINITY } = options;
  let queued: Call[] = [];
  let waiting = 0;
  /** Oldest first. */
  const running: Running[] = [];
  let turning: Promise<unknown> | undefined;
  let failure: CoPilotError | undefined;

  const takeGroup = (): readonly Call[] => {
    const size = groupSize(queued);
    const group = queued.slice(0, size);
    queued = queued.slice(size);
    for (const call of group) waiting -= call.commands.length;
    return group;
  };
  const start = (): void => {
    const group = takeGroup();
    const result = settled(run(group.flatMap((call) => call.commands)));
    running.push({ group, result });
    void result.then(finish);
  };
  const finish = (result: Result): void => {
    const ended = running.shift();
    // The disk is busy again before anybody thinks about what it has just done.
    if (running.length === 0 && queued.length > 0) start();
    if (ended !== undefined) answer(ended.group, result);
  };
  const startIfWorth = (): void => {
    if (waiting >= enough && running.length < MAX_RUNNING) start();
  };
  const startSoon = (): void => {
    if (waiting >= enough) void Promise.resolve().then(startIfWorth);
    if (running.length > 0 || queued.length === 0 || turning !== undefined) return;
    turning = turn().then(() => {
      turning = undefined;
      if (running.length === 0 && queued.length > 0) start();
    });
  };

  return {
    apply(commands) {
      if (failure !== undefined) return Promise.reject(failure);
      if (commands.length === 0) return Promise.resolve([]);
      if (waiting + commands.length > MAX_QUEUED)
        return Promise.reject(
          new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger is busy: its queue is full'),
        );
      waiting += commands.length;
      const outcomes = new Promise<readonly Outcome[]>((resolve, reject) => {
        queued.push({ commands, resolve, reject });
      });
      startSoon();
      return outcomes;
    },
    async drained() {
      while (running.length > 0 || queued.length > 0) await (running[0]?.result ?? turning);
    },
    fail(error) {
      failure ??= error;
      for (const call of queued) call.reject(failure);
      queued = [];
      waiting = 0;
    },
  };
}

function groupSize(queued: readonly Call[]): number {
  let commands = 0;
  const end = queued.findIndex((call) => (commands += call.commands.length) > MAX_GROUP);
  return end === -1 ? queued.length : Math.max(1, end);
}

type Result =
  | { readonly kind: 'done'; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'failed'; readonly error: unknown };

interface Running {
  readonly group: readonly Call[];
  readonly result: Promise<Result>;
}

function settled(outcomes: Promise<readonly Outcome[]>): Promise<Result> {
  return outcomes.then(
    (done) => ({ kind: 'done', outcomes: done }),
    (error: unknown) => ({ kind: 'failed', error }),
  );
}

function answer(group: readonly Call[], result: Result): void {
  let at = 0;
  for (const call of group) {
    if (result.kind === 'failed') call.reject(result.error);
    else call.resolve(result.outcomes.slice(at, (at += call.commands.length)));
  }
}
