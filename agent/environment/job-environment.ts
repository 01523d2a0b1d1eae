/** What a job gets beside what its description says. */
export interface JobExtras {
  readonly variables: Readonly<Record<string, string>>;
  /** Absolute paths it may read. */
  readonly readOnly: readonly string[];
  /** A program and its arguments to run the job's command under; empty where it runs by itself. */
  readonly wrap: readonly string[];
}

/** Whether the host may take a job now. */
export type Admission =
  /** `leave` once no job is run with it any more; repeating that is harmless. */
  | { readonly kind: 'fit'; readonly extras: JobExtras; readonly leave: () => void }
  | { readonly kind: 'unfit'; readonly reason: string }
  /** The signal was aborted first. */
  | { readonly kind: 'given-up' };

/** What a site gives its jobs, and whether it is in order. */
export interface JobEnvironment {
  /** Whether every job needs an admission of its own; otherwise one is good until it is left. */
  readonly examines: boolean;
  /** Asked before work is asked for. May wait for a share of something that others have. Never rejects. */
  admit(signal: AbortSignal): Promise<Admission>;
}

const NOTHING: JobExtras = { variables: {}, readOnly: [], wrap: [] };

/** Of an agent whose operator says nothing of it. */
export const NO_ENVIRONMENT: JobEnvironment = {
  examines: false,
  admit: () => Promise.resolve({ kind: 'fit', extras: NOTHING, leave: () => undefined }),
};
