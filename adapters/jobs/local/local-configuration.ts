import type { AdapterConfiguration } from '../../adapter-configuration.ts';
import type { IntakeConfiguration } from './intake/intake-configuration.ts';

/** What the local adapter's program reads at start, besides what every adapter does. */
export interface LocalConfiguration extends AdapterConfiguration {
  readonly intake?: IntakeConfiguration;
}
