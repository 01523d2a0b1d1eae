import { createCrypto, nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { runtimeConformance } from '../../conformance/runtime.ts';
import { createCountingClock } from '../../doubles/counting-clock.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const pass = (ms: number): Promise<void> => new Promise((resolve) => nodeClock.schedule(ms, resolve));

runtimeConformance('node', () => ({
  clock: nodeClock,
  random: nodeRandom,
  crypto: createCrypto(),
  pass,
}));

runtimeConformance('node, its timers counted', () => ({
  clock: createCountingClock(nodeClock),
  random: nodeRandom,
  crypto: createCrypto(nodeRandom),
  pass,
}));

runtimeConformance('simulated', () => {
  const clock = createManualClock();
  const random = createSeededRandom(7);
  return { clock, random, crypto: createCrypto(random), pass: (ms) => clock.run(ms) };
});
