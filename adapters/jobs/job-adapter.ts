import type { Exit, NewJob, OpParts, Part, StoredFile, Usage } from '../../protocol/generated/types.ts';

export type { NewJob, Part, StoredFile } from '../../protocol/generated/types.ts';

export interface Fetched {
  readonly jobs: readonly NewJob[];
  /** More jobs wait than were handed over. */
  readonly more: boolean;
}

export interface FailedAttempt {
  readonly attempt: number;
  readonly reason: string;
  readonly logTail: string;
  /** What the agent said became of the process; undefined where the attempt was lost. */
  readonly exit?: Exit;
}

/** What a framework made of a result. One that counts may say of how many events its job was: at most `MAX_EVENTS`, else nobody hears of them. */
export type Finished = 'ok' | 'refused' | { readonly events: number };

/** Events of one job that a message may name (protocol/schemas/common.schema.json, resultOk). */
export const MAX_EVENTS = 1_000_000_000;

/** What the adapter tells the broker unasked; advisory, at least once. */
export type Work =
  | { readonly kind: 'available'; readonly queue: string; readonly count: number }
  | { readonly kind: 'kill'; readonly job: string; readonly reason: string };

/**
 * How one framework's jobs come and go. Stateless towards the broker; every call may be repeated and reordered. `state` is what the
 * adapter gave with the job, the empty string where it gave nothing.
 */
export interface JobAdapter {
  /**
   * Hands over at most `max` jobs, best first. A job is handed over again by a later call until it was named in `accepted`,
   * so that a lost answer loses nothing.
   */
  fetch(queue: string, max: number, accepted: readonly string[]): Promise<Fetched>;
  /** An attempt began. */
  started(job: string, attempt: number, agent: string, state: string): Promise<void>;
  /** An attempt is alive. */
  renewed(job: string, attempt: number, progress: number, state: string): Promise<void>;
  /** An attempt ended without a result; the job waits again. */
  released(job: string, attempt: number, reason: string, state: string): Promise<void>;
  /**
   * The job has its result; resolves after the framework's own answer, 'refused' where it will not have it. Asked again, it names the
   * same number of events.
   */
  finished(
    job: string,
    attempt: number,
    manifest: readonly StoredFile[],
    usage: Usage,
    state: string,
  ): Promise<Finished>;
  /** The job will have no result. */
  failed(
    job: string,
    outcome: 'failed' | 'cancelled',
    reason: string,
    attempts: readonly FailedAttempt[],
    state: string,
  ): Promise<void>;
  /** One handler for what the adapter says unasked. */
  onWork(handler: (work: Work) => void): void;
  /**
   * Answers what the payload of the live attempt asks of the framework. Whoever takes calls allows methods by name and rejects with
   * `UNSUPPORTED` for every other; the same call may come again.
   */
  call?(job: string, attempt: number, method: string, body: string, state: string): Promise<string>;
  /**
   * `take`: the sub-units that the live attempt has from now on. `finish`: those named are done, and none are answered. The same may
   * come again.
   */
  parts?(
    job: string,
    attempt: number,
    verb: OpParts['verb'],
    parts: readonly string[],
    state: string,
  ): Promise<readonly Part[]>;
}
