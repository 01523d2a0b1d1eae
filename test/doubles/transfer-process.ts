/**
 * An agent's transfers in a process of their own: reads one line of JSON from its parent, uploads and downloads as it says,
 * and tells how far its memory grew, in bytes.
 */
import { createTransfers } from '../../agent/transfers/http-transfers.ts';
import type { Capability } from '../../protocol/generated/types.ts';
import { createCrypto, nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { silentLog } from './silent-log.ts';

export interface TransferOrder {
  /** The agent's private key in hex. */
  readonly key: string;
  readonly source: string;
  readonly target: string;
  readonly facts: { readonly size: number; readonly sha256: string };
  readonly put: Capability;
  readonly get: Capability;
}

async function run(order: TransferOrder): Promise<number> {
  const crypto = createCrypto();
  const key = crypto.importPrivate('ed25519', Buffer.from(order.key, 'hex'));
  const transfers = createTransfers({ clock: nodeClock, crypto, key, log: silentLog, random: nodeRandom });
  const { signal } = new AbortController();
  let largest = 0;
  const look = (): void => void (largest = Math.max(largest, process.memoryUsage.rss()));
  const before = process.memoryUsage.rss();
  await transfers.download(order.get, order.target, order.facts, signal, look);
  await transfers.upload(order.source, order.put, order.facts, signal, look);
  return largest - before;
}

process.once('message', (order: TransferOrder) => {
  void run(order).then((grown) => {
    process.send?.(grown);
    process.disconnect();
  });
});
