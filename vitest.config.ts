import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const project = (name: string, extra: object = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    setupFiles: ['test/setup.ts'],
    environment: 'node',
    testTimeout: 20_000,
    ...extra,
  },
});

/** Most tests wait for clocks, disks and processes of their own: twice as many at once as there are processors. */
const together = { maxWorkers: 4 };
/** Nothing of ours keeps state in a module, so files need no process each; loading the same code anew is half of their time. */
const shared = { isolate: false, hookTimeout: 60_000 };
const slow = { testTimeout: 300_000, hookTimeout: 120_000 };

/** What takes longest in one piece begins first, so that nothing runs alone at the end. */
const ORDER = ['simulation', 'e2e', 'integration', 'unit', 'long'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => ORDER.indexOf(a.project.name) - ORDER.indexOf(b.project.name));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      project('unit', { ...together, ...shared }),
      // A server that does not start within its minute says so itself.
      project('integration', { testTimeout: 60_000, hookTimeout: 120_000, ...together, isolate: false }),
      // Minutes of a processor, which it shares with everything else.
      project('simulation', { ...slow, testTimeout: 1_200_000, ...together }),
      project('e2e', { ...slow, ...together }),
      project('long', { testTimeout: 3_600_000, hookTimeout: 120_000, fileParallelism: false }),
    ],
  },
});
