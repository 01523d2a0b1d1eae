import { toCoPilotError } from '../../../protocol/errors.ts';
import type { Cancel, Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { CrabRest } from './crab-rest.ts';
import { type TransferEnd, transferEnd, transferId, wantedFiles } from './file-records.ts';
import { isObject } from './rest-answer.ts';
import type { StoredJob } from './stored-job.ts';
import type { TaskStore } from './task-store.ts';

/** Follows the files of finished jobs to their destination. */
export interface TransferWatch {
  /** One look at every task whose files are on their way. Never rejects. */
  look(): Promise<void>;
  /** Whether a look is under way. */
  readonly isBusy: boolean;
  start(): void;
  stop(): Promise<void>;
}

export interface TransferWatchOptions {
  readonly rest: CrabRest;
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
}

/** "Other" of the codes for a destination. */
const NOT_MOVED = 60_324;

export function createTransferWatch({
  rest,
  store,
  clock,
  log,
  everyMs,
}: TransferWatchOptions): TransferWatch {
  let isStopped = false;
  let cancel: Cancel = () => undefined;
  let running: Promise<void> | undefined;

  async function lookAt(name: string): Promise<void> {
    const found = store.task(name);
    if (found === undefined) return;
    const { task } = found;
    const rows = await rest.get('fileusertransfers', {
      subresource: 'getTransferStatus',
      username: task.user,
      taskname: name,
    });
    const ends = new Map<string, TransferEnd>();
    for (const row of rows)
      if (isObject(row) && typeof row['tm_id'] === 'string')
        ends.set(row['tm_id'], transferEnd(row['tm_transfer_state']));
    for (const job of store.jobs(name)) {
      if (job.state !== 'transferring') continue;
      const own = wantedFiles(task, job.number).flatMap((wanted) => ends.get(transferId(wanted)) ?? []);
      settle(job, own);
    }
    await store.settled();
  }

  /** A job none of whose files is known stays: the row that says so may be on its way. */
  function settle(job: StoredJob, own: readonly TransferEnd[]): void {
    if (own.includes('moving') || own.length === 0) return;
    if (own.every((end) => end === 'done')) store.change(job.id, { state: 'finished' });
    else {
      const message = 'a file could not be moved to its destination';
      store.change(job.id, { state: 'failed', code: NOT_MOVED, message });
    }
  }

  async function whole(): Promise<void> {
    for (const name of store.moving()) {
      if (isStopped) return;
      await lookAt(name).catch((caught: unknown) => {
        const { code, message } = toCoPilotError(caught);
        log.warn({ task: name, code, reason: message }, 'the transfers of a task are not known now');
      });
    }
  }

  const look = (): Promise<void> => {
    running ??= whole().finally(() => {
      running = undefined;
    });
    return running;
  };
  const loop = (): void => {
    cancel = clock.schedule(everyMs, () => {
      void look().then(() => {
        if (!isStopped) loop();
      });
    });
  };
  return {
    look,
    get isBusy() {
      return running !== undefined;
    },
    start: loop,
    async stop() {
      isStopped = true;
      cancel();
      await running;
    },
  };
}
