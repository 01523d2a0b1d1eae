import { join } from 'node:path';
import { createMetrics } from '../../../protocol/runtime/metrics.ts';
import { startMetricsServer } from '../../../protocol/runtime/metrics-server.ts';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import { createSnapshotDesk } from '../../../protocol/runtime/snapshot-desk.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { AdapterConfiguration } from '../../adapter-configuration.ts';
import { type AnswerAsk, connectAdapter } from '../../adapter-program.ts';
import type { Ceiling } from '../ceiling.ts';
import { openTrust, TRUST_FILE } from '../../trust.ts';
import { meteredAnswers } from '../../ask-metrics.ts';
import { answerStorageItem } from '../serve.ts';
import { openBridgeControl } from './control.ts';
import { createBridge } from './bridge.ts';
import type { BridgeRetention } from './expire.ts';
import { BRIDGE_METRICS, type BridgeMetric } from './metrics.ts';
import type { ExtraAlgorithm } from './digests.ts';

/** What the bridge program reads at start, besides what every adapter does. */
export interface BridgeConfiguration extends AdapterConfiguration {
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string;
  /** Key grants are signed with, raw Ed25519, in hex. */
  readonly grantKey: string;
  readonly operatorToken: string;
  readonly ceiling: Ceiling;
  /** Digests computed of every file beside SHA-256. */
  readonly digests?: readonly ExtraAlgorithm[];
  /** How long what has no result is kept. */
  readonly retention?: Partial<BridgeRetentionDays>;
}

/** `BridgeRetention` as it is configured. */
export interface BridgeRetentionDays {
  readonly unfinishedDays: number;
  readonly discardedDays: number;
}

export interface BridgeProgramOptions {
  /** The bridge's own directory, 0700. */
  readonly directory: string;
  /** Path of the socket the operator's commands come by; none where it is left out. */
  readonly controlSocket?: string;
  readonly configuration: BridgeConfiguration;
  readonly log: Log;
  /** Stands around every answer to the broker. */
  readonly around?: (answer: AnswerAsk) => AnswerAsk;
}

export interface BridgeProgram {
  readonly url: string;
  /** Undefined where no port is configured. */
  readonly metricsUrl: string | undefined;
  stop(): Promise<void>;
}

/** Starts the Data Bridge and its line to the broker. */
export async function startBridge({
  directory,
  controlSocket,
  configuration,
  log,
  around = (answer) => answer,
}: BridgeProgramOptions): Promise<BridgeProgram> {
  const runtime = createNodeRuntime(log);
  const { host, port, publicUrl, operatorToken, ceiling, digests } = configuration;
  const metrics = createMetrics<BridgeMetric>(BRIDGE_METRICS, async (meter) => {
    const { uploads, downloads, usedBytes } = await bridge.load();
    meter.set('copilot_bridge_uploads', uploads);
    meter.set('copilot_bridge_downloads', downloads);
    meter.set('copilot_bridge_used_bytes', usedBytes);
    meter.set('copilot_bridge_limit_bytes', ceiling.maxTotalBytes);
    meter.set('copilot_broker_connected', Number(line.isConnected));
  });
  const { brokers, grantKey } = configuration;
  const trust = await openTrust(runtime, join(directory, TRUST_FILE), {
    brokers,
    grantKeys: [{ key: grantKey, untilMs: null }],
  });
  const bridge = createBridge({
    ...runtime,
    meter: metrics,
    directory,
    host,
    port,
    ...(publicUrl !== undefined && { publicUrl }),
    operatorToken,
    ceiling,
    ...(digests && { digests }),
    retention: retentionOf(configuration),
  });
  const { url } = await bridge.start().catch((caught: unknown) => {
    trust.stop();
    throw caught;
  });
  const desk = { grantKeys: () => trust.grantKeys(), crypto: runtime.crypto, clock: runtime.clock, log };
  const line = await connectAdapter({
    runtime,
    configuration,
    trust,
    onAsk: around(
      meteredAnswers((item) => answerStorageItem(bridge.adapter, item, desk), metrics, runtime.clock),
    ),
    onBroker: () => undefined,
  });
  const metricsServer =
    configuration.metrics && (await startMetricsServer(metrics, configuration.metrics.port, log));
  const snapshots = createSnapshotDesk({ directory, log, files: { 'registry.sqlite': bridge.snapshot } });
  const control =
    controlSocket === undefined
      ? undefined
      : await openBridgeControl({
          path: controlSocket,
          snapshots,
          isConnected: () => line.isConnected,
          log,
        }).catch(async (caught: unknown) => {
          trust.stop();
          await bridge.stop();
          throw caught;
        });
  // The broker may come later; transfers of attempts that are granted already go on meanwhile.
  line.start().catch((caught: unknown) => log.error({ err: caught }, 'the bus cannot be reached'));
  return {
    url,
    metricsUrl: metricsServer?.url,
    async stop() {
      await metricsServer?.stop();
      await control?.stop();
      await line.stop();
      trust.stop();
      await bridge.stop();
    },
  };
}

const DAY_MS = 86_400_000;

function retentionOf({ retention = {} }: BridgeConfiguration): Partial<BridgeRetention> {
  const { unfinishedDays, discardedDays } = retention;
  return {
    ...(unfinishedDays !== undefined && { unfinishedMs: unfinishedDays * DAY_MS }),
    ...(discardedDays !== undefined && { discardedMs: discardedDays * DAY_MS }),
  };
}
