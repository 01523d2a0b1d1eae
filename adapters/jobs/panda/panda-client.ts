import type { PandaOutcome } from './outcome.ts';
import type { Json } from './panda-job.ts';

/** Who PanDA says that we are. */
export type Identity =
  | { readonly kind: 'known'; readonly name: string; readonly isProduction: boolean }
  /** The legacy API does not say. */
  | { readonly kind: 'untold' };

/** One update of a job, in no API's words. */
export interface JobUpdate {
  readonly id: number;
  readonly attempt: number;
  readonly site: string;
  readonly status: 'starting' | 'running' | 'finished' | 'failed';
  /** The agent, or ours where none is. */
  readonly node: string;
  readonly outcome?: PandaOutcome;
  /** JSON text by LFN. */
  readonly report?: string;
  readonly log?: string;
  readonly cpuSeconds?: number;
  readonly maxMemoryKiB?: number;
  readonly events?: number;
  readonly endMs?: number;
}

/** What PanDA made of one update. */
export type Heard =
  | { readonly kind: 'heard'; readonly command: string }
  /** Nothing was done, and may be another time: 10, 30, no whole answer. */
  | { readonly kind: 'not-heard'; readonly why: string };

export interface JobStatus {
  readonly id: number;
  /** PanDA's own word; `not found` where it knows no such job. */
  readonly status: string;
  readonly attempt: number;
}

/** A range of events as PanDA hands it out. */
export interface EventRange {
  readonly id: string;
  readonly body: string;
  /** How many it is of. */
  readonly events: number;
}

/** Which job's events. */
export interface EventJob {
  readonly id: number;
  readonly task: number | undefined;
  readonly jobset: number;
}

/** The calls of PanDA that an adapter needs, in either of its APIs. All reject with `UNREACHABLE`, `TIMEOUT` or `NOT_AUTHORIZED`. */
export interface PandaClient {
  identity(): Promise<Identity>;
  /** Takes at most so many jobs; PanDA counts them as ours from then on, whether the answer arrives or not. */
  acquire(site: string, count: number): Promise<readonly unknown[]>;
  /** At most `MAX_UPDATES`, heard in their order; one answer for each. */
  update(updates: readonly JobUpdate[]): Promise<readonly Heard[]>;
  status(ids: readonly number[]): Promise<readonly JobStatus[]>;
  /** As PanDA lists them. */
  resourceTypes(): Promise<Json>;
  takeRanges(job: EventJob, count: number): Promise<readonly EventRange[]>;
  /** The ranges of those that PanDA has as finished; never asked twice for one call. */
  finishRanges(job: EventJob, ranges: readonly string[]): Promise<ReadonlySet<string>>;
}

/** Most updates of one bulk call. */
export const MAX_UPDATES = 100;
