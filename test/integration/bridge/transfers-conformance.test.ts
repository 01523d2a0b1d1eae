import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transfersConformance } from '../../conformance/transfers.ts';
import { openBridgeWorld, putInput } from '../../doubles/bridge-world.ts';

transfersConformance('HTTP to the data bridge', { movesBytes: true }, async () => {
  const tuning = { chunkBytes: 100_000, attempts: 3, baseMs: 5, maxMs: 20 };
  const world = await openBridgeWorld({ tuning });
  const folder = await mkdtemp(join(tmpdir(), 'transfers-'));
  let files = 0;
  return {
    transfers: world.transfers,
    adapter: () => world.bridge().adapter,
    jkt: world.agent.jkt,
    nowMs: () => Date.now(),
    async offer(bytes) {
      await putInput(world.url(), bytes);
    },
    async file(bytes) {
      const path = join(folder, `file-${++files}`);
      await writeFile(path, bytes);
      return path;
    },
    target: join(folder, 'target'),
    read: (path) => readFile(path).catch(() => undefined),
    stop: () => world.bridge().stop(),
    restart: () => world.restart(),
    settled: (promise) => promise,
    async dispose() {
      await world.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
