import { createMemoryStorage } from '../../../adapters/storage/memory.ts';
import { createMemoryTransfers } from '../../../agent/transfers/memory.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { transfersConformance } from '../../conformance/transfers.ts';
import { CEILING, crypto, sha256Of } from '../../doubles/bridge-world.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

transfersConformance('memory over memory storage', { movesBytes: false }, async () => {
  const clock = createManualClock();
  const storage = createMemoryStorage({ clock, crypto, ceiling: CEILING });
  const inputs = new Set<string>();
  let isUp = true;
  const transfers = createMemoryTransfers({
    clock,
    delayMs: () => 10,
    async put({ url, token, name }, facts) {
      const [, job = '', attempt] = /attempts\/([^/]+)\/([^/]+)\//.exec(url) ?? [];
      await storage.put({ job, attempt: Number(attempt) }, token, name, facts);
    },
    async get({ url }, { sha256 }) {
      const served = url.slice(url.lastIndexOf('/') + 1);
      if (!isUp) throw new CoPilotError('UNREACHABLE', 'storage is down');
      if (!inputs.has(served)) throw new CoPilotError('NOT_FOUND', 'no such input');
      if (served !== sha256) throw new CoPilotError('DIGEST_MISMATCH', 'other bytes');
    },
  });
  return {
    transfers,
    adapter: () => storage,
    jkt: 'k'.repeat(43),
    nowMs: () => clock.wallMs(),
    offer: async (bytes) => void inputs.add(sha256Of(bytes)),
    file: async () => '/memory/file',
    target: '/memory/target',
    read: async () => undefined,
    async stop() {
      isUp = false;
      storage.crash();
    },
    async restart() {
      isUp = true;
      storage.restart();
    },
    async settled(promise) {
      await Promise.all([promise, clock.run(10)]);
    },
    dispose: () => Promise.resolve(),
  };
});
