import { join } from 'node:path';
import { createMetrics, type Metrics } from '../../../protocol/runtime/metrics.ts';
import { type MetricsServer, startMetricsServer } from '../../../protocol/runtime/metrics-server.ts';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import type { AdapterHost } from '../../adapter-host.ts';
import { type AnswerAsk, connectAdapter } from '../../adapter-program.ts';
import { meteredAnswers } from '../../ask-metrics.ts';
import { openTrust, TRUST_FILE } from '../../trust.ts';
import { answerJobItem } from '../serve.ts';
import { ACCEPTED_FILE, openAcceptedJobs } from './accepted-jobs.ts';
import { openCeiling } from './ceiling.ts';
import { type CredentialFiles, openCredentialFiles } from './credential-files.ts';
import type { CreateFrameworkAdapter, FrameworkAdapter, FrameworkParts } from './framework-adapter.ts';
import { createFrameworkHttp, type FrameworkHttp } from './framework-http.ts';
import type { FrameworkConfiguration, FrameworkProgram, FrameworkProgramOptions } from './framework-kind.ts';
import { holdFolder, LOCK_FILE } from './held-folder.ts';
import { FRAMEWORK_METRICS, type FrameworkMetric } from './framework-metrics.ts';
import { openRefusedJobs, REFUSED_FILE } from './refused-jobs.ts';

const ANSWER_MS = 60_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** What is ended in the reverse order of its beginning. */
type Ends = (() => Promise<void> | void)[];

/**
 * Starts the adapter of one framework on the bus. Rejects with `INVALID_CONFIGURATION` where a file or an option cannot be used,
 * `QUEUE_IN_USE` where it runs already.
 */
export async function runFrameworkAdapter(
  options: FrameworkProgramOptions,
  create: CreateFrameworkAdapter,
): Promise<FrameworkProgram> {
  const ends: Ends = [];
  const stop = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    return { metricsUrl: await begin(options, create, ends), stop };
  } catch (caught) {
    await stop();
    throw caught;
  }
}

async function begin(
  { directory, configuration, log, around = (answer) => answer }: FrameworkProgramOptions,
  create: CreateFrameworkAdapter,
  ends: Ends,
): Promise<string | undefined> {
  ends.push(holdFolder(join(directory, LOCK_FILE)));
  const runtime = createNodeRuntime(log);
  const { brokers } = configuration;
  const trust = await openTrust(runtime, join(directory, TRUST_FILE), { brokers, grantKeys: [] });
  ends.push(() => trust.stop());
  const credential = await openCredentialFiles(configuration.framework.credential, runtime);
  ends.push(() => credential.stop());
  const metrics: Metrics<FrameworkMetric> = createMetrics<FrameworkMetric>(FRAMEWORK_METRICS, (meter) => {
    meter.set('copilot_framework_jobs', adapter.unfinished());
    meter.set('copilot_broker_connected', Number(host.isConnected));
    const { expiresMs = NaN } = credential.current();
    const leftSeconds = (expiresMs - runtime.clock.wallMs()) / 1000;
    if (!Number.isNaN(leftSeconds))
      meter.set('copilot_framework_credential_seconds', leftSeconds, configuration.framework.kind);
  });
  const opened: FrameworkHttp[] = [];
  // Before the adapter is stopped, which waits for what is under way.
  const hangUp = (): void => opened.forEach((http) => http.stop());
  ends.push(hangUp);
  const adapter = await create(
    await partsOf(configuration, runtime, { directory, credential, metrics, ends, opened }),
  );
  ends.push(() => adapter.stop(), hangUp);
  const counted = countedParts((item) => answerJobItem(adapter, item), metrics);
  const answer = around(meteredAnswers(counted, metrics, runtime.clock));
  const onBroker = (): void => tellWaiting();
  const host: AdapterHost = await connectAdapter({ runtime, configuration, trust, onAsk: answer, onBroker });
  ends.push(() => host.stop());
  const tellWaiting = (): void => {
    for (const queue of Object.keys(configuration.framework.queues))
      host.tell({ op: 'available', queue, count: 1 });
  };
  relayWork(adapter, host);
  // The broker may come later.
  host.start().catch((caught: unknown) => log.error({ err: caught }, 'the bus cannot be reached'));
  if (configuration.metrics === undefined) return undefined;
  const server: MetricsServer = await startMetricsServer(metrics, configuration.metrics.port, log);
  ends.push(() => server.stop());
  return server.url;
}

interface Around {
  readonly directory: string;
  readonly credential: CredentialFiles;
  readonly metrics: Metrics<FrameworkMetric>;
  readonly ends: Ends;
  readonly opened: FrameworkHttp[];
}

async function partsOf(
  { name, framework: settings, bridge }: FrameworkConfiguration,
  { clock, random, log }: Runtime,
  { directory, credential, metrics, ends, opened }: Around,
): Promise<FrameworkParts> {
  const ceiling = await openCeiling(settings.ceilingFile, { clock, log });
  ends.push(() => ceiling.stop());
  const refused = await openRefusedJobs(join(directory, REFUSED_FILE), { clock, log });
  ends.push(() => refused.settled());
  const accepted = await openAcceptedJobs(join(directory, ACCEPTED_FILE), log);
  ends.push(() => accepted.settled());
  const { caFile } = settings.credential;
  const openHttp = async (url: string): Promise<FrameworkHttp> => {
    const http = await createFrameworkHttp({
      url,
      credential,
      ...(caFile !== undefined && { caFile }),
      timeoutMs: ANSWER_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      clock,
      onCall: ({ method, status, ms }) => {
        metrics.add('copilot_framework_calls_total', String(status));
        metrics.observe('copilot_framework_call_seconds', ms / 1000, method);
      },
    });
    opened.push(http);
    return http;
  };
  const http = await openHttp(settings.url);
  return {
    clock,
    random,
    log,
    name,
    settings,
    http,
    openHttp,
    credential,
    ceiling,
    refused,
    accepted,
    bridge,
  };
}

function countedParts(answer: AnswerAsk, metrics: Metrics<FrameworkMetric>): AnswerAsk {
  return async (item) => {
    const answered = await answer(item);
    if (item.op === 'parts' && item.verb === 'finish' && answered.result === 'parts')
      metrics.add('copilot_framework_parts_finished_total', undefined, item.parts.length);
    return answered;
  };
}

function relayWork(adapter: FrameworkAdapter, host: AdapterHost): void {
  adapter.onWork((work) => {
    if (work.kind === 'kill') host.tell({ op: 'kill', job: work.job, reason: work.reason });
    else host.tell({ op: 'available', queue: work.queue, count: work.count });
  });
}
