import { LATENCY_BUCKETS, type MetricDefinitions } from '../../../protocol/runtime/meter.ts';
import { ASK_METRICS } from '../../ask-metrics.ts';

/** What every framework's adapter measures; docs/metrics.md tells the same. */
export const FRAMEWORK_METRICS = {
  ...ASK_METRICS,
  copilot_framework_calls_total: {
    kind: 'counter',
    label: 'status',
    help: 'HTTP calls to the framework by the status of the answer; 0 without a whole one',
  },
  copilot_framework_call_seconds: {
    kind: 'histogram',
    label: 'method',
    buckets: LATENCY_BUCKETS,
    help: 'From a call to the framework to the end of its answer',
  },
  copilot_framework_jobs: { kind: 'gauge', help: 'Jobs of the framework that are with us' },
  copilot_framework_parts_finished_total: {
    kind: 'counter',
    help: 'Parts of jobs (events, ranges of them) that attempts finished; one that is told again counts again',
  },
  copilot_framework_credential_seconds: {
    kind: 'gauge',
    label: 'kind',
    help: 'How long the credential for the framework is good; absent where it does not say',
  },
} as const satisfies MetricDefinitions;

export type FrameworkMetric = keyof typeof FRAMEWORK_METRICS;
