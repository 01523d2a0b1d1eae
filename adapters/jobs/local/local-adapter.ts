import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { Cancel, Clock } from '../../../protocol/runtime/runtime.ts';
import type { JobAdapter, Work } from '../job-adapter.ts';
import type { LocalQueue } from './local-queue.ts';

/** How often what is still true (jobs wait, jobs are to end) is said again. */
const REMIND_MS = 10_000;

/** Most jobs named as unwanted at one reminder. */
const MAX_KILLS = 256;

export interface LocalAdapter extends JobAdapter {
  /** Says nothing more; the queue stays open. Idempotent. */
  stop(): void;
}

export interface LocalAdapterOptions {
  readonly queue: LocalQueue;
  readonly clock?: Clock;
}

/**
 * The job adapter of a local queue. It says that jobs wait once for all that arrived in one sync, and again every
 * `REMIND_MS` while they do, for what an adapter says unasked may be lost.
 */
export function createLocalAdapter(options: LocalAdapterOptions): LocalAdapter {
  const { queue, clock = nodeClock } = options;
  let handler: ((work: Work) => void) | undefined;
  let reminder: Cancel | undefined;
  let stopped = false;

  const tell = (work: Work): void => handler?.(work);
  const tellWaiting = (names?: ReadonlySet<string>): void => {
    for (const [name, count] of queue.waiting()) {
      if (names?.has(name) ?? true) tell({ kind: 'available', queue: name, count });
    }
  };
  const remind = (): void => {
    if (stopped) return;
    tellWaiting();
    for (const { job, reason } of queue.cancelling(MAX_KILLS)) tell({ kind: 'kill', job, reason });
    reminder = clock.schedule(REMIND_MS, remind);
  };
  const stopChanges = queue.onChange((changes) => {
    const arrived = new Set(
      changes.filter((change) => change.state === 'pending').map((change) => change.queue),
    );
    if (arrived.size > 0) tellWaiting(arrived);
  });
  const stopUnwanted = queue.onUnwanted(({ job, reason }) => tell({ kind: 'kill', job, reason }));

  return {
    fetch: (name, max, accepted) => queue.fetch(name, max, accepted),
    started: (job, attempt, agent) => queue.started(job, attempt, agent),
    renewed: (job, attempt, progress) => queue.renewed(job, attempt, progress),
    released: (job, attempt, reason) => queue.released(job, attempt, reason),
    finished: (job, attempt, manifest, usage) => queue.finished(job, attempt, manifest, usage),
    failed: (job, outcome, reason, attempts) => queue.failed(job, outcome, reason, attempts),
    onWork(next) {
      handler = next;
      reminder ??= clock.schedule(0, remind);
    },
    stop() {
      stopped = true;
      reminder?.();
      stopChanges();
      stopUnwanted();
    },
  };
}
