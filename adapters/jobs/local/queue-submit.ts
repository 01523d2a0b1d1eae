import { createHash } from 'node:crypto';
import { newId } from '../../../protocol/encoding.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Random } from '../../../protocol/runtime/runtime.ts';
import { newJobFault } from '../new-job.ts';
import { isFinal, newProgress } from './job-state.core.ts';
import { noteChange, mustFindJob, type QueueStore, readDescription } from './queue-store.ts';
import type { StoredJob, Submission, Submitted, SubmittedJob } from './queued-job.ts';
import { numberColumn, textColumn } from './row-reader.ts';

/** Most jobs of one submission; more go in several, each with its own key. */
const MAX_SUBMISSION_JOBS = 10_000;

/** Most jobs the queue holds, finished ones included; more are refused with `QUEUE_FULL`. */
const MAX_QUEUED_JOBS = 4_000_000;

/** What a job's `site` is where no site is behind it. */
export const LOCAL_SITE = 'local';

const KEY = /^[!-~]{1,128}$/;

/** As common.schema.json, name: the queue is not part of the job that the contract's validator sees. */
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;

/** Throws `INVALID_REQUEST` naming the first job and field that the broker would not take. */
export function checkSubmission(submission: Submission): void {
  if (!KEY.test(submission.key)) throw invalid('key must be 1 to 128 printable characters without spaces');
  if (!NAME.test(submission.queue))
    throw invalid('queue must be a name: lower-case letters, digits and . _ -');
  const count = submission.jobs.length;
  if (count === 0 || count > MAX_SUBMISSION_JOBS) {
    throw invalid(`a submission has 1 to ${MAX_SUBMISSION_JOBS} jobs; this one has ${count}`);
  }
  for (const [index, job] of submission.jobs.entries()) {
    const fault = newJobFault(asNewJob(submission, job));
    if (fault !== undefined) throw invalid(`jobs.${index}: ${fault}`);
  }
}

/** Adds the jobs, or finds what the same key added before. Throws `CONFLICT` where the key stood for other jobs. */
export function submitJobs(store: QueueStore, random: Random, submission: Submission): Submitted {
  const digest = createHash('sha256').update(JSON.stringify(submission)).digest('hex');
  const known = store.statements.submission.get(submission.key);
  if (known !== undefined) {
    if (textColumn(known, 'digest') !== digest) {
      throw new CoPilotError('CONFLICT', 'this key was used for other jobs; choose another key');
    }
    return {
      jobs: submittedIds(store, numberColumn(known, 'first_seq'), numberColumn(known, 'count')),
      repeated: true,
    };
  }
  if (countAll(store) + submission.jobs.length > MAX_QUEUED_JOBS) {
    throw new CoPilotError('QUEUE_FULL', `the local queue holds at most ${MAX_QUEUED_JOBS} jobs`);
  }
  const added = submission.jobs.map((job) => addJob(store, newId(random), submission, job, ''));
  const first = added[0]?.seq ?? 0;
  store.statements.insertSubmission.run(submission.key, digest, first, added.length);
  return { jobs: added.map((job) => job.id), repeated: false };
}

/** Queues a failed or cancelled job again under a new id. Asked again it answers the same id. Throws `CONFLICT` for any other job. */
export function retryJob(store: QueueStore, random: Random, id: string): string {
  const job = mustFindJob(store, id);
  if (job.retriedAs !== '') return job.retriedAs;
  if (!isFinal(job.progress) || job.progress.state === 'finished') {
    throw new CoPilotError(
      'CONFLICT',
      `job ${id} is ${job.progress.state}; only failed and cancelled jobs are tried again`,
    );
  }
  const description = readDescription(store, job.seq);
  const again = addJob(store, newId(random), job, { ...job, description }, id);
  store.statements.retried.run(job.seq, again.id);
  return again.id;
}

function addJob(
  store: QueueStore,
  id: string,
  where: Pick<Submission, 'queue' | 'campaign' | 'owner'>,
  job: SubmittedJob,
  retryOf: string,
): Pick<StoredJob, 'seq' | 'id'> {
  const { queue, campaign, owner } = where;
  const { label, priority, retries } = job;
  const nowMs = Math.floor(store.clock.wallMs());
  const added = store.statements.insertJob.run(
    id,
    queue,
    campaign,
    owner,
    label,
    priority,
    retries,
    nowMs,
    retryOf,
  );
  const seq = Number(added.lastInsertRowid);
  store.statements.insertDescription.run(seq, JSON.stringify(job.description));
  noteChange(store, { id, label, queue, campaign }, newProgress);
  return { seq, id };
}

function submittedIds(store: QueueStore, first: number, count: number): readonly string[] {
  return store.statements.submitted.all(first, first + count).map((row) => textColumn(row, 'id'));
}

function countAll(store: QueueStore): number {
  const [row] = store.statements.tally.all('all', '');
  return row === undefined ? 0 : numberColumn(row, 'count');
}

function asNewJob(submission: Submission, job: SubmittedJob) {
  const { label, priority, retries, description } = job;
  const { owner, campaign } = submission;
  return {
    job: 'a'.repeat(26),
    ref: label,
    owner,
    site: LOCAL_SITE,
    campaign,
    priority,
    retries,
    description,
  };
}

function invalid(message: string): CoPilotError {
  return new CoPilotError('INVALID_REQUEST', message);
}
