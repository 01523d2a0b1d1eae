import type { Description, File, Usage } from '../../../protocol/generated/types.ts';
import type { FailedAttempt } from '../job-adapter.ts';
import type { JobProgress, LocalState } from './job-state.core.ts';

/** A job as somebody gives it to the queue. */
export interface SubmittedJob {
  /** What its owner calls it; printable ASCII, at most 256 characters. */
  readonly label: string;
  /** Between -1000 and 1000; higher goes first within a queue. */
  readonly priority: number;
  /** Failures of the job itself that are tried again; at most 100. */
  readonly retries: number;
  readonly description: Description;
}

/** Most jobs of one request; a client splits what is more, under keys of its own. */
export const MAX_POSTED_JOBS = 1000;

/** Jobs that become durable together. */
export interface Submission {
  /** Chosen by the client, 1 to 128 printable characters: the same key again submits nothing and answers the same ids. */
  readonly key: string;
  readonly queue: string;
  readonly campaign: string;
  readonly owner: string;
  /** At least one, at most `MAX_SUBMISSION_JOBS`. */
  readonly jobs: readonly SubmittedJob[];
}

export interface Submitted {
  /** In the order of the submission. */
  readonly jobs: readonly string[];
  /** The key was known: nothing was added. */
  readonly repeated: boolean;
}

/** One line of a listing. */
export interface JobSummary {
  readonly job: string;
  readonly label: string;
  readonly queue: string;
  readonly campaign: string;
  readonly priority: number;
  readonly state: LocalState;
  readonly attempt: number;
  readonly agent: string;
  readonly progress: number;
  readonly cancelling: boolean;
  readonly reason: string;
  /** Milliseconds since the Unix epoch, by this machine's clock; for people. */
  readonly submittedMs: number;
  readonly changedMs: number;
}

/** Everything the queue knows of a job. */
export interface JobDetail extends JobSummary {
  readonly owner: string;
  readonly retries: number;
  readonly description: Description;
  /** The last `MAX_KEPT_FAILURES` attempts that ended without a result, oldest first. */
  readonly failures: readonly FailedAttempt[];
  readonly result?: JobResult;
  /** The job this one tries again; empty where it is a first try. */
  readonly retryOf: string;
  /** The job that tries this one again; empty where there is none. */
  readonly retriedAs: string;
}

export interface JobResult {
  readonly attempt: number;
  readonly manifest: readonly File[];
  readonly usage: Usage;
}

export interface JobFilter {
  readonly campaign?: string;
  readonly state?: LocalState;
  /** Where the page before ended. */
  readonly after?: number;
  /** At most `MAX_PAGE`. */
  readonly limit?: number;
}

export interface JobPage {
  readonly jobs: readonly JobSummary[];
  /** Goes into the next `after`; absent on the last page. */
  readonly next?: number;
}

/** How many jobs of a campaign are where; a job that was tried again counts as `retried` only. */
export interface CampaignCounts {
  readonly campaign: string;
  readonly total: number;
  readonly states: Readonly<Record<LocalState, number>>;
  readonly retried: number;
}

/** A campaign as a list shows it. */
export interface CampaignSummary extends CampaignCounts {
  /** Of its first job. */
  readonly queue: string;
  readonly owner: string;
  readonly submittedMs: number;
  /** Its pending jobs are not handed to the broker. */
  readonly paused: boolean;
}

export interface CampaignPage {
  readonly campaigns: readonly CampaignSummary[];
  /** Goes into the next `after`; absent on the last page. */
  readonly next?: string;
}

export interface QueueSummary {
  readonly queue: string;
  readonly states: Readonly<Record<LocalState, number>>;
  /** When the job was submitted that has waited longest to be handed over; null where none waits. */
  readonly oldestWaitingMs: number | null;
}

/** What became of one page of a campaign's jobs. */
export interface CancelledPage {
  /** Ended at once. */
  readonly cancelled: number;
  /** With the broker: they end when it says so. */
  readonly cancelling: number;
  /** Goes into the next `after`; absent where the campaign is through. */
  readonly next?: number;
}

/** A change of one job's state, told after it is durable; also of a job that may be handed over again. */
export interface JobChange {
  readonly job: string;
  readonly label: string;
  readonly queue: string;
  readonly campaign: string;
  readonly state: LocalState;
  readonly attempt: number;
  readonly agent: string;
  readonly progress: number;
  readonly reason: string;
}

/** A row of the job table. */
export interface StoredJob {
  readonly seq: number;
  readonly id: string;
  readonly queue: string;
  readonly campaign: string;
  readonly owner: string;
  readonly label: string;
  readonly priority: number;
  readonly retries: number;
  readonly progress: JobProgress;
  readonly submittedMs: number;
  readonly changedMs: number;
  readonly retryOf: string;
  readonly retriedAs: string;
}
