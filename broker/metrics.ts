import { LATENCY_BUCKETS, type Meter, type MetricDefinitions } from '../protocol/runtime/meter.ts';
import type { Outcome } from './core/command.ts';
import type { JobRow } from './core/state.ts';
import type { BrokerStatus, SessionEvents } from './service/broker.ts';

/** What the broker measures; docs/metrics.md tells the same. */
export const BROKER_METRICS = {
  copilot_jobs: { kind: 'gauge', label: 'state', help: 'Jobs in the ledger' },
  copilot_jobs_accepted_total: { kind: 'counter', label: 'queue', help: 'Jobs taken over from an adapter' },
  copilot_leases_total: { kind: 'counter', label: 'queue', help: 'Attempts leased' },
  copilot_renewals_total: { kind: 'counter', help: 'Leases renewed' },
  copilot_reports_total: { kind: 'counter', label: 'exit', help: 'Reports taken, by how the payload ended' },
  copilot_verdicts_total: { kind: 'counter', label: 'verdict', help: 'Verdicts on reported attempts' },
  copilot_attempts_void_total: { kind: 'counter', help: 'Attempts that ended without a result' },
  copilot_site_events_total: {
    kind: 'counter',
    label: 'site',
    help: 'Events of results that frameworks took, by where they were made',
  },
  copilot_site_cpu_seconds_total: {
    kind: 'counter',
    label: 'site',
    help: 'Processor time of results that frameworks took, by where they were made',
  },
  copilot_site_wall_seconds_total: {
    kind: 'counter',
    label: 'site',
    help: 'Wall time of results that frameworks took, by where they were made',
  },
  copilot_campaign_events_total: {
    kind: 'counter',
    label: 'campaign',
    help: 'Events of results that frameworks took, by campaign',
  },
  copilot_campaign_cpu_seconds_total: {
    kind: 'counter',
    label: 'campaign',
    help: 'Processor time of results that frameworks took, by campaign',
  },
  copilot_campaign_wall_seconds_total: {
    kind: 'counter',
    label: 'campaign',
    help: 'Wall time of results that frameworks took, by campaign',
  },
  copilot_agent_messages_total: {
    kind: 'counter',
    label: 'kind',
    help: 'Messages of agents that were understood',
  },
  copilot_agent_refusals_total: {
    kind: 'counter',
    label: 'code',
    help: 'Errors and farewells told to agents',
  },
  copilot_agents_connected: { kind: 'gauge', help: 'Agents with a session' },
  copilot_requests_parked: { kind: 'gauge', help: 'Requests that wait for work' },
  copilot_duties_open: { kind: 'gauge', help: 'Steps of commits and clean-up under way' },
  copilot_adapter_connected: {
    kind: 'gauge',
    label: 'service',
    help: '1 while the session to the adapter is up',
  },
  copilot_adapter_ask_seconds: {
    kind: 'histogram',
    label: 'op',
    buckets: LATENCY_BUCKETS,
    help: 'From an item asked of an adapter to its answer',
  },
  copilot_adapter_ask_failures_total: { kind: 'counter', label: 'op', help: 'Items no adapter answered' },
  copilot_ledger_group_seconds: {
    kind: 'histogram',
    buckets: LATENCY_BUCKETS,
    help: 'From a group of commands handed to the ledger to its sync',
  },
  copilot_ledger_group_commands: {
    kind: 'histogram',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 10_000],
    help: 'Commands of one group',
  },
  copilot_ledger_failures_total: { kind: 'counter', label: 'code', help: 'Groups the ledger did not take' },
  copilot_bus_connections: {
    kind: 'gauge',
    help: 'Connections to the embedded bus; absent with a bus server',
  },
  copilot_sessions_total: {
    kind: 'counter',
    label: 'event',
    help: 'Handshakes and frames by what became of them',
  },
} as const satisfies MetricDefinitions;

export type BrokerMetric = keyof typeof BROKER_METRICS;
export type BrokerMeter = Meter<BrokerMetric>;

/** Counts what became durable. */
export function countOutcome(meter: BrokerMeter, outcome: Outcome): void {
  switch (outcome.kind) {
    case 'accepted':
      return meter.add('copilot_jobs_accepted_total', outcome.job.queue);
    case 'leased':
      return meter.add('copilot_leases_total', outcome.job.queue);
    case 'renewed':
      return meter.add('copilot_renewals_total');
    case 'reported':
      return countReport(meter, outcome.job);
    case 'changed':
      if (outcome.verdict !== null) meter.add('copilot_verdicts_total', outcome.verdict.verdict);
      return countVoid(meter, outcome.job);
    case 'told':
      return countTaken(meter, outcome.job);
    case 'released':
      return countVoid(meter, outcome.job);
    case 'welcome':
    case 'revoked':
      for (const job of outcome.jobs) countVoid(meter, job);
      return;
    case 'known':
    case 'pruned':
    case 'repeat':
    case 'unchanged':
    case 'noted':
    case 'owner':
    case 'refused':
  }
}

function countReport(meter: BrokerMeter, job: JobRow): void {
  const last = job.attempts.at(-1);
  meter.add('copilot_reports_total', last?.exit?.kind ?? 'exited');
  const { exit } = last ?? {};
  // Storage had spoken before the report was taken, against it.
  if (last?.state === 'void' && exit?.kind === 'exited' && exit.code === 0)
    meter.add('copilot_verdicts_total', 'refused');
  countVoid(meter, job);
}

/** What the result was of that a framework took; once for each, as the ledger has it. */
function countTaken(meter: BrokerMeter, { state, campaign, events, attempts }: JobRow): void {
  const result = attempts.find((attempt) => attempt.state === 'committed');
  if (state !== 'told' || result === undefined) return;
  const { cpuSeconds, wallSeconds } = result.usage ?? { cpuSeconds: 0, wallSeconds: 0 };
  meter.add('copilot_site_events_total', result.site, events);
  meter.add('copilot_site_cpu_seconds_total', result.site, cpuSeconds);
  meter.add('copilot_site_wall_seconds_total', result.site, wallSeconds);
  meter.add('copilot_campaign_events_total', campaign, events);
  meter.add('copilot_campaign_cpu_seconds_total', campaign, cpuSeconds);
  meter.add('copilot_campaign_wall_seconds_total', campaign, wallSeconds);
}

/** A void attempt is news until its files are discarded. */
function countVoid(meter: BrokerMeter, job: JobRow): void {
  const last = job.attempts.at(-1);
  if (last?.state === 'void' && last.discard) meter.add('copilot_attempts_void_total');
}

export function collectStatus(meter: BrokerMeter, status: BrokerStatus, events: SessionEvents): void {
  meter.set('copilot_agents_connected', status.connectedAgents);
  meter.set('copilot_requests_parked', status.parkedRequests);
  meter.set('copilot_duties_open', status.openDuties);
  for (const [service, isOpen] of Object.entries(status.adapters))
    meter.set('copilot_adapter_connected', Number(isOpen), service);
  for (const [event, count] of Object.entries(events)) meter.set('copilot_sessions_total', count, event);
}
