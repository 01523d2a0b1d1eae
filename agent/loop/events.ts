import type { Attempt } from '../../protocol/generated/types.ts';
import type { LinkState } from './link.ts';

/** What a slot is doing. `waiting`: for the time the broker named, or for room on the disk. */
export type SlotPhase = 'asking' | 'waiting' | 'fetching' | 'running' | 'uploading' | 'reporting' | 'idle';

/** How an attempt left the agent. `lost`: the broker no longer counts it as ours. */
export type AttemptEnd = 'committed' | 'refused' | 'lost' | 'cancelled' | 'released';

/** Since this start of the agent. */
export interface Counts {
  readonly committed: number;
  readonly refused: number;
  readonly lost: number;
  /** Reported, and the verdict is not known. */
  readonly unresolved: number;
}

/** What an agent tells people about itself. */
export type AgentEvent =
  | { readonly kind: 'link'; readonly state: LinkState }
  | { readonly kind: 'slot'; readonly slot: number; readonly phase: SlotPhase; readonly reason?: string }
  | ({
      readonly kind: 'slot';
      readonly slot: number;
      readonly phase: SlotPhase;
      /** 0 to 1, as the job says; 0 where it says nothing. */
      readonly progress: number;
    } & Attempt)
  | ({
      readonly kind: 'attempt';
      readonly end: AttemptEnd;
      readonly reason: string;
      readonly counts: Counts;
    } & Attempt)
  /** `reason`: what is wrong with this host, where that is why. */
  | { readonly kind: 'draining'; readonly reason?: string };
