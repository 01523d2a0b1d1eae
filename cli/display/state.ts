/**
 * Everything the live display shows. Whoever runs a campaign makes a new state whenever something changed; times are
 * milliseconds on one clock that starts with the campaign. All texts may come from strangers: the display cleans them.
 */
export interface DisplayState {
  readonly campaign: CampaignProgress;
  /** Since the campaign began. */
  readonly elapsedMs: number;
  /** In the order they are shown. */
  readonly agents: readonly AgentStatus[];
  /** Oldest first; the newest few are shown. */
  readonly lost: readonly LostAttempt[];
  /** Oldest first; the newest few are shown. */
  readonly events: readonly DisplayEvent[];
}

/** The five counts add up to `total`. */
export interface CampaignProgress {
  readonly name: string;
  readonly total: number;
  readonly finished: number;
  readonly failed: number;
  readonly running: number;
  readonly waiting: number;
  readonly cancelled: number;
}

export interface AgentStatus {
  readonly name: string;
  /** How the agent's jobs are kept apart from the machine, such as `bubblewrap`. */
  readonly isolation: string;
  /** Jobs it finished. */
  readonly done: number;
  readonly activity: Activity;
}

export type Activity =
  | { readonly kind: 'starting' }
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly job: string; readonly attempt: number; readonly progress: number }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'killed' }
  | { readonly kind: 'draining' };

export interface LostAttempt {
  readonly job: string;
  readonly attempt: number;
  /** Such as `agent killed`. */
  readonly reason: string;
  /** When it was lost, on the campaign's clock. */
  readonly lostMs: number;
  /** How long after the loss the job was leased again; undefined while it waits. */
  readonly leasedAgainAfterMs: number | undefined;
}

export interface DisplayEvent {
  /** Rises with every event; says which are new. */
  readonly id: number;
  readonly atMs: number;
  readonly text: string;
}
