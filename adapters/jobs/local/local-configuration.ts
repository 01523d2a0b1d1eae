import type { AdapterConfiguration } from '../../adapter-configuration.ts';
import type { TurnWeights } from '../turns.ts';
import type { IntakeConfiguration } from './intake/intake-configuration.ts';

/** How long ended jobs stay in the queue. */
export interface LocalRetention {
  readonly jobDays: number;
  readonly jobs: number;
}

export const DEFAULT_LOCAL_RETENTION: LocalRetention = { jobDays: 90, jobs: 1_000_000 };

/** What the local adapter's program reads at start, besides what every adapter does. */
export interface LocalConfiguration extends AdapterConfiguration {
  readonly intake?: IntakeConfiguration;
  /** By queue, how many jobs in a row owners and campaigns get (docs/matching.md); equal turns where it is left out. */
  readonly turns?: Readonly<Record<string, TurnWeights>>;
  readonly retention?: Partial<LocalRetention>;
}
