import { CoPilotError } from '../../protocol/errors.ts';
import type { Command, Outcome } from '../core/command.ts';

/** Commands that share one transaction, unless a single call brings more. */
export const MAX_GROUP = 256;
/** Commands waiting for their group; beyond this `apply` rejects with `LEDGER_UNAVAILABLE` (busy) at once. */
export const MAX_QUEUED = 10_000;

/** Makes one group durable, or rejects with nothing done. */
export type RunGroup = (commands: readonly Command[]) => Promise<readonly Outcome[]>;

/** Collects commands while a group is under way; one group at a time, calls never split. */
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

/**
 * `turn` resolves once everybody who had something to say in this turn of the loop has said it: those calls share the first group,
 * for a group of one would make all others wait for its sync.
 */
export function createGroupQueue(
  run: RunGroup,
  turn: () => Promise<unknown> = () => Promise.resolve(),
): GroupQueue {
  let queued: Call[] = [];
  let waiting = 0;
  let running: Promise<void> | undefined;
  let failure: CoPilotError | undefined;

  const takeGroup = (): readonly Call[] => {
    const size = groupSize(queued);
    const group = queued.slice(0, size);
    queued = queued.slice(size);
    for (const call of group) waiting -= call.commands.length;
    return group;
  };
  const start = (): Running | undefined => {
    if (queued.length === 0) return undefined;
    const group = takeGroup();
    return { group, result: settled(run(group.flatMap((call) => call.commands))) };
  };
  const work = async (): Promise<void> => {
    await turn();
    let under = start();
    while (under !== undefined) {
      const result = await under.result;
      // The disk is busy again before anybody thinks about what it has just done.
      const next = start();
      answer(under.group, result);
      under = next;
    }
    running = undefined;
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
      const answer = new Promise<readonly Outcome[]>((resolve, reject) => {
        queued.push({ commands, resolve, reject });
      });
      running ??= work();
      return answer;
    },
    async drained() {
      while (running !== undefined) await running;
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
