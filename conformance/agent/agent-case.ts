import type { Case } from '../case.ts';
import type { Stage } from './stage.ts';

/** What an agent may lack and still be right, since the protocol says MAY or SHOULD. */
export const CAPABILITIES = ['moving', 'next', 'ranges', 'restart', 'resume'] as const;

export type Capability = (typeof CAPABILITIES)[number];

export interface AgentCase extends Case<Stage> {
  /**
   * `warm`, the usual: an agent that waits for work, and that goes on to other cases afterwards. `spent`: the same, ended
   * afterwards. `cold`: an installation in which no agent was started.
   */
  readonly start?: 'warm' | 'spent' | 'cold';
  /** A hub that pings so often. */
  readonly pingEveryMs?: number;
  /** The enrolment names a second way to the broker, `stage.otherGate`. */
  readonly hasTwoUrls?: true;
  readonly needs?: readonly (Capability | 'another-address')[];
}
