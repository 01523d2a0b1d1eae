import type { File, Usage } from '../../../protocol/generated/types.ts';
import type { FailedAttempt } from '../job-adapter.ts';
import * as states from './job-state.core.ts';
import { findJob, mustFindJob, type QueueStore, saveProgress } from './queue-store.ts';
import type { StoredJob } from './queued-job.ts';

/** Attempts of one job whose failure is kept: the newest. */
const MAX_KEPT_FAILURES = 32;

/** Applies one piece of news of a job; undefined where the queue does not know it, else the job as it was before. */
export function advance(
  store: QueueStore,
  id: string,
  step: (job: states.JobProgress) => states.JobProgress,
): StoredJob | undefined {
  const job = findJob(store, id);
  if (job !== undefined) saveProgress(store, job, step(job.progress));
  return job;
}

export function releaseAttempt(
  store: QueueStore,
  id: string,
  attempt: number,
  reason: string,
): StoredJob | undefined {
  const job = advance(store, id, (progress) => states.release(progress, attempt, reason));
  if (job !== undefined && !states.isFinal(job.progress))
    keepFailure(store, job, { attempt, reason, logTail: '' });
  return job;
}

export function finishJob(
  store: QueueStore,
  id: string,
  attempt: number,
  manifest: readonly File[],
  usage: Usage,
): 'ok' | 'refused' {
  const job = findJob(store, id);
  if (job === undefined) return 'refused';
  const finish = states.finish(job.progress, attempt);
  if (finish.job !== job.progress) {
    saveProgress(store, job, finish.job);
    store.statements.insertResult.run(job.seq, attempt, JSON.stringify(manifest), JSON.stringify(usage));
  }
  return finish.answer;
}

export function failJob(
  store: QueueStore,
  id: string,
  outcome: 'failed' | 'cancelled',
  reason: string,
  attempts: readonly FailedAttempt[],
): void {
  const job = findJob(store, id);
  if (job === undefined || job.progress.state === 'finished') return;
  saveProgress(store, job, states.fail(job.progress, outcome, reason));
  for (const failure of attempts) keepFailure(store, job, failure);
}

/** Answers the job as it stands after the cancellation. Throws `NOT_FOUND`. */
export function cancelJob(store: QueueStore, id: string): StoredJob {
  const job = mustFindJob(store, id);
  const progress = states.cancel(job.progress);
  saveProgress(store, job, progress);
  return { ...job, progress };
}

function keepFailure(store: QueueStore, job: StoredJob, failure: FailedAttempt): void {
  const reason = failure.reason.slice(0, states.MAX_REASON);
  const logTail = failure.logTail.slice(-states.MAX_LOG_TAIL);
  store.statements.putFailure.run(job.seq, failure.attempt, reason, logTail);
  store.statements.dropOldFailures.run(job.seq, MAX_KEPT_FAILURES);
}
