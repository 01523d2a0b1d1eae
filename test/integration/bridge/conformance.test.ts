import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { isStorageCode } from '../../../protocol/storage-codes.ts';
import { storageConformance } from '../../conformance/storage.ts';
import { openBridgeWorld } from '../../doubles/bridge-world.ts';

const ceiling = {
  maxFileBytes: 10_000,
  maxAttemptBytes: 20_000,
  maxTotalBytes: 30_000,
  verbs: ['get', 'put'],
} as const;

storageConformance('data bridge', async () => {
  const world = await openBridgeWorld({ ceiling });
  return {
    get adapter() {
      return world.bridge().adapter;
    },
    ceiling,
    jkt: world.agent.jkt,
    nowSeconds: () => Math.floor(nodeClock.wallMs() / 1000),
    async upload(_attempt, capability, bytes) {
      const { code } = await world.agent.put(capability, bytes);
      if (code !== undefined) throw new CoPilotError(isStorageCode(code) ? code : 'INTERNAL', 'refused');
    },
    restart: () => world.restart(),
    close: () => world.close(),
  };
});
