import type { MetricDefinitions } from '../../../protocol/runtime/meter.ts';
import { ASK_METRICS } from '../../ask-metrics.ts';

/** What the local queue measures; docs/metrics.md tells the same. */
export const LOCAL_METRICS = {
  ...ASK_METRICS,
  copilot_local_jobs: { kind: 'gauge', label: 'state', help: 'Jobs in the local queue' },
  copilot_local_changes_total: {
    kind: 'counter',
    label: 'state',
    help: 'Changes of jobs, by the state they came to',
  },
} as const satisfies MetricDefinitions;

export type LocalMetric = keyof typeof LOCAL_METRICS;
