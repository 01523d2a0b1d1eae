import { join } from 'node:path';
import { createMetrics } from '../../../protocol/runtime/metrics.ts';
import { type MetricsServer, startMetricsServer } from '../../../protocol/runtime/metrics-server.ts';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import { createSnapshotDesk } from '../../../protocol/runtime/snapshot-desk.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import { type AnswerAsk, connectAdapter } from '../../adapter-program.ts';
import { openTrust, TRUST_FILE } from '../../trust.ts';
import { meteredAnswers } from '../../ask-metrics.ts';
import { repeatSteps } from '../../repeated-steps.ts';
import { answerJobItem } from '../serve.ts';
import { createControl } from './control.ts';
import type { CampaignReader } from './intake/campaign-reader.ts';
import { type Intake, startIntake } from './intake/intake.ts';
import { createLocalAdapter } from './local-adapter.ts';
import { DEFAULT_LOCAL_RETENTION, type LocalConfiguration } from './local-configuration.ts';
import { LOCAL_METRICS, type LocalMetric } from './metrics.ts';
import { openLocalQueue } from './local-queue.ts';

const DAY_MS = 86_400_000;
/** Jobs looked at in one step: a few milliseconds. */
const STEP_ROWS = 128;

export interface LocalProgramOptions {
  /** The adapter's own directory, 0700: its queue. */
  readonly directory: string;
  /** Path of the socket jobs are submitted by; its directory is this user's alone. */
  readonly controlSocket: string;
  readonly configuration: LocalConfiguration;
  /** Reads the campaigns that are dropped in a watched directory. */
  readonly reader: CampaignReader;
  readonly log: Log;
  /** Stands around every answer to the broker. */
  readonly around?: (answer: AnswerAsk) => AnswerAsk;
}

export interface LocalProgram {
  /** Where jobs are taken over HTTP; undefined where they are not. */
  readonly intakeUrl: string | undefined;
  /** Undefined where no port is configured. */
  readonly metricsUrl: string | undefined;
  stop(): Promise<void>;
}

/** Starts the local job adapter: a durable queue, its control socket, what else fills it, and its line to the broker. */
export async function startLocalAdapter({
  directory,
  controlSocket,
  configuration,
  reader,
  log,
  around = (answer) => answer,
}: LocalProgramOptions): Promise<LocalProgram> {
  const runtime = createNodeRuntime(log);
  const { turns = {} } = configuration;
  const path = join(directory, 'queue.sqlite');
  const trust = await openTrust(runtime, join(directory, TRUST_FILE), {
    brokers: configuration.brokers,
    grantKeys: [],
  });
  const queue = await openLocalQueue({ path, random: runtime.random, log, turns }).catch(
    (caught: unknown) => {
      trust.stop();
      throw caught;
    },
  );
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
  const snapshots = createSnapshotDesk({ directory, log, files: { 'queue.sqlite': queue.snapshot } });
  const control = createControl({ queue, path: controlSocket, metrics, snapshots, log });
  let metricsServer: MetricsServer | undefined;
  const { jobDays, jobs } = { ...DEFAULT_LOCAL_RETENTION, ...configuration.retention };
  const stopPruning = repeatSteps(runtime.clock, log, () =>
    queue.prune({ jobMs: jobDays * DAY_MS, jobs }, STEP_ROWS),
  );
  const tellWaiting = (): void => {
    for (const [name, count] of queue.waiting()) host.tell({ op: 'available', queue: name, count });
  };
  const host = await connectAdapter({
    runtime,
    configuration,
    trust,
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
  let intake: Intake | undefined;
  const stop = async (): Promise<void> => {
    stopPruning();
    await intake?.stop();
    adapter.stop();
    await metricsServer?.stop();
    await host.stop();
    trust.stop();
    await control.stop();
    await queue.close();
  };
  try {
    await control.start();
    if (configuration.metrics !== undefined)
      metricsServer = await startMetricsServer(metrics, configuration.metrics.port, log);
    if (configuration.intake !== undefined)
      intake = await startIntake({
        configuration: configuration.intake,
        queue,
        reader,
        random: runtime.random,
        log,
      });
  } catch (caught) {
    await stop();
    throw caught;
  }
  // The broker may come later; until then the queue takes jobs all the same.
  host.start().catch((caught: unknown) => log.error({ err: caught }, 'the bus cannot be reached'));
  return { intakeUrl: intake?.url, metricsUrl: metricsServer?.url, stop };
}
