import type { File, NewJob, Usage } from '../../protocol/generated/types.ts';

export type { NewJob } from '../../protocol/generated/types.ts';

export interface Fetched {
  readonly jobs: readonly NewJob[];
  /** More jobs wait than were handed over. */
  readonly more: boolean;
}

export interface FailedAttempt {
  readonly attempt: number;
  readonly reason: string;
  readonly logTail: string;
}

/** What the adapter tells the broker unasked; advisory, at least once. */
export type Work =
  | { readonly kind: 'available'; readonly queue: string; readonly count: number }
  | { readonly kind: 'kill'; readonly job: string; readonly reason: string };

/** How one framework's jobs come and go. Stateless towards the broker; every call may be repeated and reordered. */
export interface JobAdapter {
  /**
   * Hands over at most `max` jobs, best first. A job is handed over again by a later call until it was named in `accepted`,
   * so that a lost answer loses nothing.
   */
  fetch(queue: string, max: number, accepted: readonly string[]): Promise<Fetched>;
  /** An attempt began. */
  started(job: string, attempt: number, agent: string): Promise<void>;
  /** An attempt is alive. */
  renewed(job: string, attempt: number, progress: number): Promise<void>;
  /** An attempt ended without a result; the job waits again. */
  released(job: string, attempt: number, reason: string): Promise<void>;
  /** The job has its result; resolves after the framework's own answer, 'refused' where it will not have it. */
  finished(job: string, attempt: number, manifest: readonly File[], usage: Usage): Promise<'ok' | 'refused'>;
  /** The job will have no result. */
  failed(
    job: string,
    outcome: 'failed' | 'cancelled',
    reason: string,
    attempts: readonly FailedAttempt[],
  ): Promise<void>;
  /** One handler for what the adapter says unasked. */
  onWork(handler: (work: Work) => void): void;
}
