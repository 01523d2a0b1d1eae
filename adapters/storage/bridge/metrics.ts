import type { Meter, MetricDefinitions } from '../../../protocol/runtime/meter.ts';
import { ASK_METRICS } from '../../ask-metrics.ts';

/** What the Data Bridge measures; docs/metrics.md tells the same. */
export const BRIDGE_METRICS = {
  ...ASK_METRICS,
  copilot_bridge_received_bytes_total: { kind: 'counter', help: 'Bytes of files that came and were written' },
  copilot_bridge_sent_bytes_total: { kind: 'counter', help: 'Bytes of files that were sent whole' },
  copilot_bridge_refusals_total: { kind: 'counter', label: 'code', help: 'Requests refused' },
  copilot_bridge_uploads: { kind: 'gauge', help: 'Uploads under way' },
  copilot_bridge_downloads: { kind: 'gauge', help: 'Downloads under way' },
  copilot_bridge_used_bytes: { kind: 'gauge', help: 'Bytes stored or promised' },
  copilot_bridge_limit_bytes: { kind: 'gauge', help: 'Bytes that may be stored' },
} as const satisfies MetricDefinitions;

export type BridgeMetric = keyof typeof BRIDGE_METRICS;
export type BridgeMeter = Meter<BridgeMetric>;
