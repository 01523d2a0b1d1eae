import { join } from 'node:path';
import { createMetrics } from '../../../protocol/runtime/metrics.ts';
import { type MetricsServer, startMetricsServer } from '../../../protocol/runtime/metrics-server.ts';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { AdapterConfiguration } from '../../adapter-configuration.ts';
import type { TurnWeights } from '../turns.ts';
import { type AnswerAsk, connectAdapter } from '../../adapter-program.ts';
import { meteredAnswers } from '../../ask-metrics.ts';
import { repeatSteps } from '../../repeated-steps.ts';
import { answerJobItem } from '../serve.ts';
import { createControl } from './control.ts';
import { createLocalAdapter } from './local-adapter.ts';
import { LOCAL_METRICS, type LocalMetric } from './metrics.ts';
import { openLocalQueue } from './local-queue.ts';

const DAY_MS = 86_400_000;
/** Jobs looked at in one step: a few milliseconds. */
const STEP_ROWS = 128;

/** How long ended jobs stay in the queue. */
export interface LocalRetention {
  readonly jobDays: number;
  readonly jobs: number;
}

const DEFAULT_RETENTION: LocalRetention = { jobDays: 90, jobs: 1_000_000 };

/** What the local adapter reads at start. */
export interface LocalConfiguration extends AdapterConfiguration {
  /** By queue, how many jobs in a row owners and campaigns get (docs/matching.md); equal turns where it is left out. */
  readonly turns?: Readonly<Record<string, TurnWeights>>;
  readonly retention?: Partial<LocalRetention>;
}

export interface LocalProgramOptions {
  /** The adapter's own directory, 0700: its queue. */
  readonly directory: string;
  /** Path of the socket jobs are submitted by; its directory is this user's alone. */
  readonly controlSocket: string;
  readonly configuration: LocalConfiguration;
  readonly log: Log;
  /** Stands around every answer to the broker. */
  readonly around?: (answer: AnswerAsk) => AnswerAsk;
}

export interface LocalProgram {
  /** Undefined where no port is configured. */
  readonly metricsUrl: string | undefined;
  stop(): Promise<void>;
}

/** Starts the local job adapter: a durable queue, its control socket, and its line to the broker. */
export async function startLocalAdapter({
  directory,
  controlSocket,
  configuration,
  log,
  around = (answer) => answer,
}: LocalProgramOptions): Promise<LocalProgram> {
  const runtime = createNodeRuntime(log);
  const { turns = {} } = configuration;
  const path = join(directory, 'queue.sqlite');
  const queue = await openLocalQueue({ path, random: runtime.random, log, turns });
  const adapter = createLocalAdapter({ queue });
  const metrics = createMetrics<LocalMetric>(LOCAL_METRICS, (meter) => {
    for (const [state, count] of queue.states()) meter.set('copilot_local_jobs', count, state);
    meter.set('copilot_broker_connected', Number(host.isConnected));
  });
  queue.onChange((changes) => {
    for (const { job, queue: name, state, attempt } of changes) {
      metrics.add('copilot_local_changes_total', state);
      if (configuration.log?.jobs !== false) log.info({ job, attempt, queue: name }, `job ${state}`);
    }
  });
  const control = createControl({ queue, path: controlSocket, metrics, log });
  let metricsServer: MetricsServer | undefined;
  const { jobDays, jobs } = { ...DEFAULT_RETENTION, ...configuration.retention };
  const stopPruning = repeatSteps(runtime.clock, log, () =>
    queue.prune({ jobMs: jobDays * DAY_MS, jobs }, STEP_ROWS),
  );
  const tellWaiting = (): void => {
    for (const [name, count] of queue.waiting()) host.tell({ op: 'available', queue: name, count });
  };
  const host = connectAdapter({
    runtime,
    configuration,
    onAsk: around(meteredAnswers((item) => answerJobItem(adapter, item), metrics, runtime.clock)),
    onBroker: () => {
      queue.brokerCame();
      tellWaiting();
    },
  });
  adapter.onWork((work) => {
    if (work.kind === 'kill') host.tell({ op: 'kill', job: work.job, reason: work.reason });
    else host.tell({ op: 'available', queue: work.queue, count: work.count });
  });
  const stop = async (): Promise<void> => {
    stopPruning();
    adapter.stop();
    await metricsServer?.stop();
    await host.stop();
    await control.stop();
    await queue.close();
  };
  try {
    await control.start();
    if (configuration.metrics !== undefined)
      metricsServer = await startMetricsServer(metrics, configuration.metrics.port, log);
  } catch (caught) {
    await stop();
    throw caught;
  }
  // The broker may come later; until then the queue takes jobs all the same.
  host.start().catch((caught: unknown) => log.error({ err: caught }, 'the bus cannot be reached'));
  return { metricsUrl: metricsServer?.url, stop };
}
