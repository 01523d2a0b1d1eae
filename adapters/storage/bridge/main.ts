import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import { fromHex } from '../../../protocol/encoding.ts';
import { createSnapshotDesk } from '../../../protocol/runtime/snapshot-desk.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { AdapterConfiguration } from '../../adapter-configuration.ts';
import { type AnswerAsk, connectAdapter } from '../../adapter-program.ts';
import type { Ceiling } from '../ceiling.ts';
import { answerStorageItem } from '../serve.ts';
import { openBridgeControl } from './control.ts';
import { createBridge } from './bridge.ts';

/** What the bridge program reads at start, besides what every adapter does. */
export interface BridgeConfiguration extends AdapterConfiguration {
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string;
  /** Key grants are signed with, raw Ed25519, in hex. */
  readonly grantKey: string;
  readonly operatorToken: string;
  readonly ceiling: Ceiling;
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
  const { host, port, publicUrl, operatorToken, ceiling } = configuration;
  const bridge = createBridge({
    ...runtime,
    directory,
    host,
    port,
    ...(publicUrl !== undefined && { publicUrl }),
    operatorToken,
    ceiling,
  });
  const { url } = await bridge.start();
  const grantKey = runtime.crypto.importPublic('ed25519', fromHex(configuration.grantKey));
  const desk = { grantKey, crypto: runtime.crypto, clock: runtime.clock, log };
  const line = connectAdapter({
    runtime,
    configuration,
    onAsk: around((item) => answerStorageItem(bridge.adapter, item, desk)),
    onBroker: () => undefined,
  });
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
          await bridge.stop();
          throw caught;
        });
  // The broker may come later; transfers of attempts that are granted already go on meanwhile.
  line.start().catch((caught: unknown) => log.error({ err: caught }, 'the bus cannot be reached'));
  return {
    url,
    async stop() {
      await control?.stop();
      await line.stop();
      await bridge.stop();
    },
  };
}
