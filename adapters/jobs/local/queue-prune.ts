import { type QueueStore, storedJob } from './queue-store.ts';
import { isFinal, type LocalState } from './job-state.core.ts';
import { countStates } from './queue-view.ts';
import type { StoredJob } from './queued-job.ts';
import { numberColumn, textColumn } from './row-reader.ts';

const ENDED: readonly LocalState[] = ['finished', 'failed', 'cancelled'];

/** How long a queue keeps jobs that ended. Times are the machine's. */
export interface QueueRetention {
  /** An ended job goes this long after its last change, */
  readonly jobMs: number;
  /** or earlier, oldest first, while there are more ended ones than this. */
  readonly jobs: number;
}

/** Where the next step of pruning begins: jobs by the order of submission, submissions by key. */
export interface PrunePlace {
  seq: number;
  submission: string;
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
  dropEmptySubmissions(store, place, limit);
  return { jobs: gone.length, more };
}

function endedJobs(store: QueueStore): number {
  const counts = countStates(store);
  return ENDED.reduce((sum, state) => sum + (counts.get(state) ?? 0), 0);
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

/** The key of a submission means something as long as one of its jobs is there. */
function dropEmptySubmissions(store: QueueStore, place: PrunePlace, limit: number): void {
  const page = store.statements.submissionPage.all(place.submission, limit);
  for (const row of page) {
    const first = numberColumn(row, 'first_seq');
    const isEmpty = store.statements.submitted.get(first, first + numberColumn(row, 'count')) === undefined;
    if (isEmpty) store.statements.dropSubmission.run(textColumn(row, 'key'));
  }
  const last = page.at(-1);
  place.submission = page.length < limit || last === undefined ? '' : textColumn(last, 'key');
}
