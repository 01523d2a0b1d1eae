import { expect, test } from 'vitest';
import { runScenario } from '../simulation/scenario.ts';

const SEEDS = 5_000;
const SEEDS_OF_TWO = 500;
/** Far from the seeds every run of CI takes. */
const FIRST = 1_000_000;

test(`I1-I5 hold in ${SEEDS} further seeds of the simulator`, async () => {
  const broken: string[] = [];
  for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
    const { faults } = await runScenario(seed);
    if (faults.length > 0) broken.push(`node test/simulation/one-seed.ts ${seed}: ${faults.join('; ')}`);
  }
  expect(broken).toEqual([]);
});

test(`B-22, M-12 and I1-I5 hold in ${SEEDS_OF_TWO} further seeds on two buses`, async () => {
  const broken: string[] = [];
  for (let seed = FIRST; seed < FIRST + SEEDS_OF_TWO; seed += 1) {
    const { faults } = await runScenario(seed, 2);
    if (faults.length > 0) broken.push(`node test/simulation/one-seed.ts ${seed} 2: ${faults.join('; ')}`);
  }
  expect(broken).toEqual([]);
});
