import { expect, test } from 'vitest';
import { runScenario } from './scenario.ts';

const SEEDS = 200;
const SEEDS_OF_TWO = 3;
/** CI derives the first seed from the commit, so that every change meets other ones. */
const first = Number(process.env['SEED'] ?? 1);

test(`I1-I5 hold in ${SEEDS} seeds of loss, duplication, reordering, delay, partition, crash and restart`, async () => {
  const broken: string[] = [];
  let attempts = 0;
  for (let seed = first; seed < first + SEEDS; seed += 1) {
    const result = await runScenario(seed);
    attempts += result.attempts;
    if (result.faults.length > 0)
      broken.push(
        `seed ${seed}: ${result.faults.join('; ')} (repeat: node test/simulation/one-seed.ts ${seed})`,
      );
  }
  expect(broken).toEqual([]);
  // The scenarios are worth their time only while attempts are lost in them.
  expect(attempts).toBeGreaterThan(SEEDS * 31);
});

test(`B-22, M-12 and I1-I5 hold in ${SEEDS_OF_TWO} seeds of the same on two buses, between which agents move in the middle of jobs`, async () => {
  const broken: string[] = [];
  const arrivals = [0, 0];
  for (let seed = first; seed < first + SEEDS_OF_TWO; seed += 1) {
    const result = await runScenario(seed, 2);
    result.arrivals.forEach((count, at) => (arrivals[at] = (arrivals[at] ?? 0) + count));
    if (result.faults.length > 0)
      broken.push(
        `seed ${seed}: ${result.faults.join('; ')} (repeat: node test/simulation/one-seed.ts ${seed} 2)`,
      );
  }
  expect(broken).toEqual([]);
  // They are worth their time only while agents move.
  for (const count of arrivals) expect(count).toBeGreaterThan(SEEDS_OF_TWO);
});
