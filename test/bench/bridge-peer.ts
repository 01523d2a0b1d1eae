/** The Data Bridge in a process of its own, with a durable registry and every digest it knows. */
import { createBridge, type Bridge } from '../../adapters/storage/bridge/bridge.ts';
import { EXTRA_ALGORITHMS } from '../../adapters/storage/bridge/digests.ts';
import type { Capability, Grant } from '../../protocol/generated/types.ts';
import { createCrypto, nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { createLog } from '../../protocol/runtime/log.ts';
import { type Memory, memoryOf } from './memory.ts';
import { servePeer } from './serve-peer.ts';

export interface BridgeQuestions {
  start(options: {
    readonly directory: string;
    readonly operatorToken: string;
  }): Promise<{ readonly url: string }>;
  mint(grant: Grant): Promise<readonly Capability[]>;
  discard(attempt: { readonly job: string; readonly attempt: number }): Promise<void>;
  memory(nothing: null): Promise<Memory>;
}

const CEILING_BYTES = 16 * 1024 ** 3;

let bridge: Bridge | undefined;

servePeer<BridgeQuestions>({ start, mint, discard, memory: () => memoryOf(process.pid) }, async () => {
  await bridge?.stop();
});

async function start(options: {
  readonly directory: string;
  readonly operatorToken: string;
}): Promise<{ url: string }> {
  bridge = createBridge({
    ...options,
    host: '127.0.0.1',
    port: 0,
    ceiling: {
      maxFileBytes: CEILING_BYTES,
      maxAttemptBytes: CEILING_BYTES,
      maxTotalBytes: CEILING_BYTES,
      verbs: ['get', 'put'],
    },
    digests: EXTRA_ALGORITHMS,
    clock: nodeClock,
    random: nodeRandom,
    crypto: createCrypto(),
    log: createLog('bridge', { level: 'warn' }),
  });
  return bridge.start();
}

async function mint(grant: Grant): Promise<readonly Capability[]> {
  return (await bridge?.adapter.mint(grant)) ?? [];
}

async function discard(attempt: { readonly job: string; readonly attempt: number }): Promise<void> {
  await bridge?.adapter.discard(attempt);
}
