import { CoPilotError } from '../../../protocol/errors.ts';
import type { Description } from '../../../protocol/generated/types.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { isDescription } from './stored-json.core.ts';
import type { JobProgress, LocalState } from './job-state.core.ts';
import type { QueueDatabase } from './queue-database.ts';
import type { JobChange, StoredJob } from './queued-job.ts';
import type { Turns } from '../turns.ts';
import { jsonColumn, numberColumn, type SqlRow, textColumn } from './row-reader.ts';

const STATES: ReadonlySet<string> = new Set<LocalState>([
  'pending',
  'handed',
  'accepted',
  'running',
  'finished',
  'failed',
  'cancelled',
]);

/** Reads and writes single jobs, and remembers what changed until the group around it is durable. */
export interface QueueStore extends QueueDatabase {
  readonly clock: Clock;
  /** What changed since it was last taken. */
  readonly changes: JobChange[];
  /** Whose turn it is in each queue; soft, it begins anew with the process. */
  readonly turns: (queue: string) => Turns;
}

export function findJob(store: QueueStore, id: string): StoredJob | undefined {
  const row = store.statements.jobById.get(id);
  return row === undefined ? undefined : storedJob(row);
}

/** Throws `NOT_FOUND`. */
export function mustFindJob(store: QueueStore, id: string): StoredJob {
  const job = findJob(store, id);
  if (job === undefined) throw new CoPilotError('NOT_FOUND', noSuchJob(id));
  return job;
}

/** What to say of a job that is not there, with the next step. */
export function noSuchJob(id: string): string {
  return `the local queue has no job ${id}; \`co-pilot job list\` shows those there are`;
}

/** Writes where a job stands, if that is news. */
export function saveProgress(store: QueueStore, job: StoredJob, next: JobProgress): void {
  if (next === job.progress) return;
  const { state, attempt, ended, agent, progress, cancelling, reason } = next;
  const nowMs = Math.floor(store.clock.wallMs());
  store.statements.updateJob.run(
    job.seq,
    state,
    attempt,
    ended,
    agent,
    progress,
    cancelling ? 1 : 0,
    reason,
    nowMs,
  );
  noteChange(store, job, next);
}

export function noteChange(
  store: QueueStore,
  job: Pick<StoredJob, 'id' | 'label' | 'queue' | 'campaign'>,
  next: JobProgress,
): void {
  const { state, attempt, agent, progress, reason } = next;
  const { id, label, queue, campaign } = job;
  store.changes.push({ job: id, label, queue, campaign, state, attempt, agent, progress, reason });
}

export function readDescription(store: QueueStore, seq: number): Description {
  const row = store.statements.description.get(seq);
  const description = row === undefined ? undefined : jsonColumn(row, 'body');
  if (!isDescription(description)) {
    throw new CoPilotError('QUEUE_CORRUPT', 'the local queue holds a job without its description');
  }
  return description;
}

export function storedJob(row: SqlRow): StoredJob {
  return {
    seq: numberColumn(row, 'seq'),
    id: textColumn(row, 'id'),
    queue: textColumn(row, 'queue'),
    campaign: textColumn(row, 'campaign'),
    owner: textColumn(row, 'owner'),
    label: textColumn(row, 'label'),
    priority: numberColumn(row, 'priority'),
    retries: numberColumn(row, 'retries'),
    progress: storedProgress(row),
    submittedMs: numberColumn(row, 'submitted_ms'),
    changedMs: numberColumn(row, 'changed_ms'),
    retryOf: textColumn(row, 'retry_of'),
    retriedAs: textColumn(row, 'retried_as'),
  };
}

function storedProgress(row: SqlRow): JobProgress {
  return {
    state: stateColumn(row),
    attempt: numberColumn(row, 'attempt'),
    ended: numberColumn(row, 'ended'),
    agent: textColumn(row, 'agent'),
    progress: numberColumn(row, 'progress'),
    cancelling: numberColumn(row, 'cancelling') === 1,
    reason: textColumn(row, 'reason'),
  };
}

function stateColumn(row: SqlRow): LocalState {
  const state = textColumn(row, 'state');
  if (!isLocalState(state)) throw new CoPilotError('QUEUE_CORRUPT', 'the local queue holds an unknown state');
  return state;
}

function isLocalState(text: string): text is LocalState {
  return STATES.has(text);
}
