import { type QueueStore, storedJob } from './queue-store.ts';
import { isFinal } from './job-state.core.ts';
import type { StoredJob } from './queued-job.ts';

/** How long a queue keeps jobs that ended. Times are the machine's. */
export interface QueueRetention {
  /** An ended job goes this long after its last change, */
  readonly jobMs: number;
  /** or earlier, oldest first, while there are more ended ones than this. */
  readonly jobs: number;
}

/** Where the next step of pruning begins: the order of submission. */
export interface PrunePlace {
  seq: number;
}

export interface QueuePruned {
  readonly jobs: number;
  /** The next call goes on where this one stopped; otherwise all jobs were looked at. */
  readonly more: boolean;
}

/** Looks at the next `limit` jobs, and removes those that the retention does not keep: never one that has not ended. */
export function pruneJobs(
  store: QueueStore,
  retention: QueueRetention,
  place: PrunePlace,
  limit: number,
): QueuePruned {
  const nowMs = store.clock.wallMs();
  let excess = endedJobs(store) - retention.jobs;
  const page = store.statements.page.all(place.seq, limit).map(storedJob);
  const gone = page.filter((job) => {
    const goes = isFinal(job.progress) && (excess > 0 || job.changedMs + retention.jobMs <= nowMs);
    if (goes) excess -= 1;
    return goes;
  });
  for (const job of gone) remove(store, job);
  for (const campaign of new Set(gone.map((job) => job.campaign))) dropEmptyCampaign(store, campaign);
  const more = page.length === limit;
  place.seq = more ? (page.at(-1)?.seq ?? 0) : 0;
  if (!more) store.statements.dropSubmissions.run();
  return { jobs: gone.length, more };
}

function endedJobs(store: QueueStore): number {
  return store.statements.states
    .all()
    .filter(({ state }) => state === 'finished' || state === 'failed' || state === 'cancelled')
    .reduce((sum, { count }) => sum + Number(count), 0);
}

function remove(store: QueueStore, { seq, progress, queue }: StoredJob): void {
  const { dropJob, dropDescription, dropResult, dropFailures, untally } = store.statements;
  dropJob.run(seq);
  dropDescription.run(seq);
  dropResult.run(seq);
  dropFailures.run(seq);
  untally.run('all', '', 'jobs');
  untally.run('queue', queue, progress.state);
}

/** A campaign's counts tell of its whole past, until the last of its jobs is gone. */
function dropEmptyCampaign(store: QueueStore, campaign: string): void {
  if (store.statements.pageOfCampaign.all(0, 1, campaign).length === 0)
    store.statements.dropTally.run('campaign', campaign);
}
